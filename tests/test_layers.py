"""The architecture as the imports have it: layers, no circles, no framework below an adapter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("mm_rag", "loaders/mm_rag_loaders", "integrations")

# Lower ones first: a module imports from its own layer and those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("mm_rag._closing", "mm_rag._forking", "mm_rag._lazy", "mm_rag._printing"),
    ("mm_rag.errors", "mm_rag._optional", "mm_rag._temporary", "mm_rag._threads"),
    ("mm_rag.packaged",),
    ("mm_rag.content", "mm_rag.segment", "mm_rag.boxes", "mm_rag.words", "mm_rag.explanation"),
    ("mm_rag.inputs", "mm_rag.media", "mm_rag.record"),
    ("mm_rag.extraction", "mm_rag.highlight", "mm_rag.prompt_content"),
    ("mm_rag.device", "mm_rag.precision", "mm_rag.similarity", "mm_rag.attention"),
    ("mm_rag.checkpoints",),
    ("mm_rag.preprocessing",),
    ("mm_rag.modules", "mm_rag.built_in"),
    ("mm_rag.rerankers",),
    ("mm_rag.options", "mm_rag.parallel"),
    ("mm_rag.encoder", "mm_rag.reranker", "mm_rag.transcribers"),
    ("mm_rag.testing",),
    ("mm_rag_loaders", "mm_rag.evaluation"),
    ("mm_rag.collection",),
    ("mm_rag.agent_tools",),
    ("mm_rag.demo",),
    ("mm_rag.cli",),
    ("langchain_mm_rag", "llama_index", "mm_rag_mcp"),
)
BELOW_TORCH = (
    *("mm_rag.errors", "mm_rag.content", "mm_rag.segment", "mm_rag.record"),
    *("mm_rag.extraction", "mm_rag_loaders"),
)
MODELS = ("torch", "transformers", "mm_rag.modules", "mm_rag.encoder", "mm_rag.reranker")
FRAMEWORKS = ("langchain_core", "langchain_mm_rag", "llama_index", "mcp", "mm_rag_mcp")


@cache
def modules() -> dict[str, ast.Module]:
    """Every module that is shipped, by its dotted name."""
    found: dict[str, ast.Module] = {}
    for folder in SHIPPED:
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if parts[0] in ("loaders", "integrations") else parts
            name = ".".join(parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.Module) -> Iterator[str]:
    """Every name that is imported to run, also inside functions; not those for annotations only."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                yield from (alias.name for alias in inner.names)
            elif isinstance(inner, ast.ImportFrom) and inner.module:
                yield inner.module
                yield from (f"{inner.module}.{alias.name}" for alias in inner.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer(module: str) -> int | None:
    for number, packages in enumerate(LAYERS):
        if any(is_in(module, package) for package in packages):
            return number
    return None


def test_every_module_has_a_layer() -> None:
    assert [name for name in modules() if name != "mm_rag" and layer(name) is None] == []


@pytest.mark.slow
def test_imports_point_down() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules().items()
        for imported in imports(tree)
        if (own := layer(name)) is not None
        and (other := layer(imported)) is not None
        and other > own
    ]
    assert wrong == []


def importers(packages: tuple[str, ...], unwanted: tuple[str, ...]) -> list[str]:
    return [
        f"{name} imports {imported}"
        for name, tree in modules().items()
        if any(is_in(name, package) for package in packages)
        for imported in imports(tree)
        if any(is_in(imported, each) for each in unwanted)
    ]


def test_the_library_imports_no_framework() -> None:
    assert importers(("mm_rag", "mm_rag_loaders"), FRAMEWORKS) == []


def test_what_lies_below_the_models_imports_none() -> None:
    assert importers(BELOW_TORCH, MODELS) == []


def test_no_modules_import_each_other() -> None:
    graph = {
        name: {each for each in imports(tree) if each in modules() and each != name}
        for name, tree in modules().items()
    }
    for name, tree in modules().items():  # `from package import module` is not about the package
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in graph[name]:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                if all(each in modules() for each in names):
                    graph[name].discard(node.module)
    assert circle(graph) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, in the order in which they import each other; empty without."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for each in sorted(graph[name]):
                if found := visit(each, [*path, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
