"""Checkpoints that bring Python code of their own, against sentence-transformers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from transformers import dynamic_module_utils

from mm_rag import Audio, Encoder, Text
from mm_rag.errors import CheckpointError, MissingExtra, UnsupportedModality

from ..parity import replicas

TEXTS = ["a cat sat on the mat", "", "the dog", "words " * 100]

# As in models of before 5.4: constructed with the root folder, and `tokenize` in the first module.
OLD_INPUT = """
import json, os
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer
from .helper import HALF

class Transformer(nn.Module):
    save_in_root = True

    def __init__(self, model_name_or_path, max_seq_length=None, model_args=None,
                 tokenizer_args=None, config_args=None, **_):
        super().__init__()
        assert model_args["trust_remote_code"] is True
        self.model = AutoModel.from_pretrained(model_name_or_path)
        self.tokenizer = AutoTokenizer.from_pretrained(model_name_or_path)
        self.max_seq_length = max_seq_length
        self.shift = (config_args or {}).get("shift", 0.0)

    def forward(self, features, task=None):
        assert features["note"] == "kept"
        states = self.model(features["input_ids"], features["attention_mask"])[0]
        features["token_embeddings"] = states * (HALF if task == "half" else 1) + self.shift
        return features

    def tokenize(self, texts):
        batch = self.tokenizer(texts, padding=True, truncation=True,
                               max_length=self.max_seq_length, return_tensors="pt")
        return {**batch, "note": "kept"}

    def get_word_embedding_dimension(self):
        return self.model.config.hidden_size

    def save(self, output_path, safe_serialization=True):
        self.model.save_pretrained(output_path)
        self.tokenizer.save_pretrained(output_path)
        with open(os.path.join(output_path, "sentence_bert_config.json"), "w") as file:
            json.dump({"max_seq_length": self.max_seq_length}, file)

    @staticmethod
    def load(input_path):
        raise AssertionError("constructed instead")
"""

# As in new models: sentence-transformers' own base classes.
NEW_POOLING = """
import torch
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.base.modules import Module

class Last(Module):
    config_keys = ["power"]
    forward_kwargs = {"sign"}

    def __init__(self, power):
        super().__init__()
        self.power = power
        self.weight = torch.nn.Parameter(torch.full((1,), 2.0))

    def forward(self, features, sign=1, **kwargs):
        length = features.get("prompt_length", 0)
        vectors = features["sentence_embedding"] * sign + length
        features["sentence_embedding"] = vectors * self.weight**self.power
        return features

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(cls, model_name_or_path, subfolder="", token=None, cache_folder=None, revision=None,
             local_files_only=False, **kwargs):
        hub = dict(subfolder=subfolder)
        module = cls(**cls.load_config(model_name_or_path, **hub))
        return cls.load_torch_weights(model_name_or_path, model=module, **hub)
"""

# As in models of several modalities.
PICTURES = """
import torch
from sentence_transformers.base.modules import InputModule

class Colours(InputModule):
    modalities = ["text", "image", ("text", "image"), "message"]

    def preprocess(self, inputs, prompt=None, **kwargs):
        return {"rows": torch.tensor([self.row(value, prompt or "") for value in inputs])}

    def row(self, value, prompt):
        if isinstance(value, str):
            return [float(len(prompt + value)), 0.0, 0.0]
        if isinstance(value, dict):
            text, image = self.row(value["text"], prompt), self.row(value["image"], prompt)
            return [left + right for left, right in zip(text, image)]
        return [float(band) for band in value.getpixel((0, 0))]

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["rows"]
        return features

    def get_embedding_dimension(self):
        return 3

    def save(self, output_path, *args, **kwargs):
        pass

    @classmethod
    def load(cls, model_name_or_path, **kwargs):
        assert kwargs["trust_remote_code"]
        return cls()
"""

# As jina-clip's: whatever str can be fetched or opened is a picture.
OPENS = """
import os
import torch
from sentence_transformers.base.modules import InputModule

class Opens(InputModule):
    modalities = ["text", "image", ("text", "image")]

    def tokenize(self, inputs, **kwargs):
        return {"rows": torch.tensor([self.row(value) for value in inputs])}

    def row(self, value):
        value = value["text"] if isinstance(value, dict) else value
        if value.startswith(("http", "data:", "file:")) or os.path.exists(value):
            raise RuntimeError("opened")
        return [float(len(value.strip()))]

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["rows"]
        return features

    def save(self, output_path, *args, **kwargs):
        pass

    @classmethod
    def load(cls, model_name_or_path, **kwargs):
        return cls()
"""

OURS = """
from mm_rag.modules import Module

class Negative(Module):
    def forward(self, features):
        features["sentence_embedding"] = -features["sentence_embedding"]
        return features
"""


@pytest.fixture(autouse=True)
def code_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """transformers copies the code to a folder, and imports it as `transformers_modules`."""
    used = os.environ["HF_MODULES_CACHE"]
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != used])
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "code"))
    before = copied_modules()
    for name in before:
        del sys.modules[name]
    yield
    for name in copied_modules():
        del sys.modules[name]
    sys.modules.update(before)


def copied_modules() -> dict[str, ModuleType]:
    return {n: m for n, m in sys.modules.items() if n.startswith("transformers_modules")}


def entry(position: int, path: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"idx": position, "name": str(position), "path": path, "type": kind, **more}


def checkpoint(folder: Path, entries: list[dict[str, Any]], files: Mapping[str, str]) -> Path:
    """Add code to the folder of a model."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


def old_style(folder: Path) -> Path:
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    return checkpoint(
        replicas.plain_bert(folder),
        [
            entry(0, "", "custom_st.Transformer", kwargs=["task"]),
            entry(1, "1_Pooling", "sentence_transformers.models.Pooling"),
        ],
        {
            "custom_st.py": OLD_INPUT,
            "helper.py": "HALF = 0.5\n",
            "1_Pooling/config.json": json.dumps(pooling),
            "sentence_bert_config.json": json.dumps({"max_seq_length": 16}),
        },
    )


def new_style(folder: Path) -> Path:
    folder = replicas.bert(folder)
    SentenceTransformer(str(folder), device="cpu").save(str(folder))  # modules.json of today
    entries = json.loads((folder / "modules.json").read_text())
    made = checkpoint(
        folder,
        [*entries, entry(9, "9_Last", "modeling_last.Last")],
        {"modeling_last.py": NEW_POOLING, "9_Last/config.json": '{"power": 3}'},
    )
    save_file({"weight": torch.full((1,), 2.0)}, folder / "9_Last" / "model.safetensors")
    return made


def theirs(folder: Path, **options: Any) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", trust_remote_code=True, **options)


def ours(folder: Path, **options: Any) -> Encoder:
    return Encoder(folder, device="cpu", trust_remote_code=True, **options)


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-5)


def test_code_of_before_5_4(tmp_path: Path) -> None:
    folder = old_style(tmp_path / "model")
    options: dict[str, Any] = {"config_kwargs": {"shift": 0.25}, "prompts": {"query": "find: "}}
    mine, reference = ours(folder, **options), theirs(folder, **options)

    close(mine.encode(TEXTS), reference.encode(TEXTS))
    close(mine.encode_query(TEXTS), reference.encode_query(TEXTS))
    close(
        mine.encode(TEXTS, arguments={"task": "half"}),
        reference.encode(TEXTS, task="half"),
    )
    assert mine.modalities == ("text",)


def test_code_with_todays_base_classes(tmp_path: Path) -> None:
    folder = new_style(tmp_path / "model")
    options: dict[str, Any] = {"prompts": {"query": "find: "}}
    mine, reference = ours(folder, **options), theirs(folder, **options)

    close(mine.encode(TEXTS), reference.encode(TEXTS))
    close(mine.encode_query(TEXTS), reference.encode_query(TEXTS))
    close(mine.encode(TEXTS, arguments={"sign": -1}), reference.encode(TEXTS, sign=-1))


@pytest.mark.parametrize("make", [old_style, new_style])
def test_saved_code_loads_here_and_there(tmp_path: Path, make: Any) -> None:
    encoder = ours(make(tmp_path / "model"))
    encoder.save(tmp_path / "saved")

    close(ours(tmp_path / "saved").encode(TEXTS), encoder.encode(TEXTS))
    close(theirs(tmp_path / "saved").encode(TEXTS), encoder.encode(TEXTS))


def test_code_that_sees(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, [entry(0, "", "eyes.Colours")], {"eyes.py": PICTURES})
    picture = Pictures.new("RGB", (3, 3), (10, 20, 30))
    pair = {"text": "abc", "image": picture}
    encoder, reference = ours(folder), theirs(folder)

    assert encoder.modalities == ("text", "image", "image+text")
    close(encoder.encode(["ab", picture, pair]), [[2, 0, 0], [10, 20, 30], [13, 20, 30]])
    batches: list[Any] = [[picture], ["ab"], [pair]]
    for inputs in batches:
        close(encoder.encode(inputs, prompt="p"), reference.encode(inputs, prompt="p"))
    with pytest.raises(UnsupportedModality, match="does not take audio"):
        encoder.encode(Audio(Path("never.wav")))


def test_words_are_not_opened_by_code_that_opens_places(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("words")
    encoder = ours(checkpoint(tmp_path, [entry(0, "", "opens.Opens")], {"opens.py": OPENS}))
    texts = [
        "HTTP://169.254.169.254/", "http://169.254.169.254/", "data:image/png;base64,AAAA",
        "file:///etc/passwd", "file:a", str(secret), "Note: a cat", "a" * 5000, "nul\0",
    ]  # fmt: skip
    close(encoder.encode([Text(text) for text in texts]), [[len(text)] for text in texts])
    pair = {"text": Text(str(secret)), "image": Pictures.new("RGB", (3, 3))}
    close(encoder.encode(pair), [len(str(secret))])


def test_code_written_for_mm_rag(tmp_path: Path) -> None:
    files = {"eyes.py": PICTURES, "sign.py": OURS}
    entries = [entry(0, "", "eyes.Colours"), entry(1, "1", "sign.Negative")]
    encoder = ours(checkpoint(tmp_path / "model", entries, files))
    encoder.save(tmp_path / "saved")

    close(encoder.encode("abc"), [-3, 0, 0])
    close(ours(tmp_path / "saved").encode("abc"), [-3, 0, 0])


def test_code_of_another_repository(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "eyes.py").write_text(PICTURES)
    (tmp_path / "model").mkdir()
    name = f"{tmp_path / 'other'}--eyes.Colours"
    encoder = ours(checkpoint(tmp_path / "model", [entry(0, "", name)], {}))
    encoder.save(tmp_path / "saved")

    close(encoder.encode("abc"), [3, 0, 0])
    close(theirs(tmp_path / "saved").encode(["abc"]), [[3, 0, 0]])


def test_nothing_runs_without_trust(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n{OURS}"
    folder = checkpoint(tmp_path / "m", [entry(0, "", "sign.Negative")], {"sign.py": code})

    with pytest.raises(CheckpointError) as caught:
        Encoder(folder, device="cpu")

    assert str(folder / "sign.py") in str(caught.value)
    assert "trust_remote_code=True" in str(caught.value)
    assert not trace.exists()


def test_code_of_another_repository_without_trust(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, [entry(0, "", "org/repo--eyes.Colours")], {})

    with pytest.raises(CheckpointError, match=r"eyes\.py of org/repo"):
        Encoder(folder, device="cpu")


def test_code_that_needs_a_package(tmp_path: Path) -> None:
    code = "import a_package_that_is_not_there\n" + OURS
    folder = checkpoint(tmp_path, [entry(0, "", "sign.Negative")], {"sign.py": code})

    with pytest.raises(MissingExtra, match="a_package_that_is_not_there"):
        ours(folder)


def test_code_that_needs_sentence_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path, [entry(0, "", "eyes.Colours")], {"eyes.py": PICTURES})
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)

    with pytest.raises(MissingExtra, match="sentence_transformers"):
        ours(folder)


@pytest.mark.parametrize(
    "code",
    ["def broken(:", "1 / 0", "undefined", "x = 1", "class Negative: pass", "Negative = 3"],
)
def test_code_that_fails(tmp_path: Path, code: str) -> None:
    folder = checkpoint(tmp_path, [entry(0, "", "sign.Negative")], {"sign.py": code})

    with pytest.raises(CheckpointError, match=r"sign\.py"):
        ours(folder)


def test_a_file_that_is_not_in_the_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, [entry(0, "", "sign.Negative")], {})

    with pytest.raises(CheckpointError, match=r"names the module 'sign\.Negative'"):
        ours(folder)
