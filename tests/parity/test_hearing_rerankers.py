"""Audio rerankers give the same scores as sentence-transformers' CrossEncoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from mm_rag import Audio, Mixed, Reranker, Text
from mm_rag.errors import UnreadableMedia
from mm_rag.media.audio import waveform
from tests.av_made import make_wav, sweep, tone

from . import samples
from .replicas.audio_rerankers import qwen2_5_omni_reranker
from .visual_pairs import QUERY, TEXTS, Pairs, films, same_size

TOLERANCE = 5e-5  # on logits of about 2
CLEARLY = 1e-3  # apart: a model that does not listen gives the same score to all recordings
RATE = 16_000
IDENTITY = torch.nn.Identity()

LOW, HIGH, LONG = tone(0.7, hertz=300), tone(0.7, hertz=2500), sweep(1.2)
PICTURE = same_size(1)[0]
SPOKEN = {"text": "Who is speaking?", "audio": LOW}
PAIRS: dict[str, Pairs] = {
    "a text and recordings": [(QUERY, LOW), (QUERY, HIGH), (QUERY, LONG)],
    "a recording and texts": [(LOW, text) for text in TEXTS],
    "recordings and a text": [(LOW, QUERY), (HIGH, QUERY), (LONG, QUERY)],
    "recordings on both sides": [(LOW, HIGH), (HIGH, LOW), (LONG, LOW), (LOW, LONG), (LOW, LOW)],
    "recordings and pictures": [(LOW, PICTURE), (PICTURE, LOW), (HIGH, PICTURE)],
    "together": [(SPOKEN, TEXTS[0]), (QUERY, SPOKEN), (SPOKEN, HIGH), (SPOKEN, SPOKEN)],
    "texts": [(QUERY, text) for text in TEXTS],
    "everything": [
        (QUERY, TEXTS[0]),
        (QUERY, LONG),
        (HIGH, PICTURE),
        (PICTURE, TEXTS[1]),
        (QUERY, TEXTS[3]),
        ({"image": PICTURE, "audio": LOW, "text": "Both."}, HIGH),
        (samples.videos()[0]["array"], LONG),
        (QUERY, LOW),
    ],
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A checkpoint in both libraries."""

    ours: Reranker
    theirs: Any  # a CrossEncoder, whose annotations leave out much that it takes

    @classmethod
    def of(cls, folder: Path) -> Loaded:
        """Load it."""
        ours, theirs = Reranker(folder, device="cpu"), CrossEncoder(str(folder), device="cpu")
        return cls(ours=ours, theirs=theirs)

    def check(self, pairs: Any, **options: Any) -> Any:
        """Compare the logits of both libraries, and return them."""
        expected = self.theirs.predict(pairs, activation_fn=IDENTITY, **options)
        close(self.ours.predict(pairs, activation_fn=IDENTITY, **options), expected)
        return expected


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded.of(qwen2_5_omni_reranker(tmp_path_factory.mktemp("reranker")))


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", PAIRS)
def test_pairs_with_recordings(omni: Loaded, case: str) -> None:
    scores = np.sort(omni.check(PAIRS[case]))

    assert np.diff(scores).min() > CLEARLY


@pytest.mark.parametrize("batch_size", [1, 3])
def test_everything_in_one_list(omni: Loaded, batch_size: int) -> None:
    pairs = [pair for case in PAIRS.values() for pair in case]
    apart = [score for case in PAIRS.values() for score in omni.theirs.predict(case)]

    close(omni.ours.predict(pairs, batch_size=batch_size), apart)


@pytest.mark.parametrize("query", [QUERY, HIGH], ids=["text", "recording"])
def test_the_same_order(omni: Loaded, query: Any) -> None:
    documents = [*TEXTS, LOW, PICTURE, LONG, SPOKEN]

    expected = omni.theirs.rank(query, documents)
    ranked = omni.ours.rank(query, documents)
    assert [place["index"] for place in ranked] == [place["corpus_id"] for place in expected]
    close([place["score"] for place in ranked], [place["score"] for place in expected])


def test_every_form_of_a_recording(omni: Loaded, tmp_path: Path) -> None:
    path = make_wav(tmp_path / "tone.wav", LONG)
    heard = (LONG * 32767).astype(np.int16)
    exact = heard / np.float32(32768)
    expected = omni.check([(QUERY, str(path)), (str(path), QUERY)])

    forms: list[Any] = [
        path,
        Audio(path),
        heard,
        {"array": exact, "sampling_rate": RATE},
        {"audio": {"array": exact, "sampling_rate": RATE}},
        Mixed((Audio(path),)),
    ]
    documents = omni.ours.predict([(QUERY, form) for form in forms], activation_fn=IDENTITY)
    queries = omni.ours.predict([(form, Text(QUERY)) for form in forms], activation_fn=IDENTITY)
    close(documents, [expected[0]] * len(forms))
    close(queries, [expected[1]] * len(forms))


def test_different_sampling_rates_in_one_list(omni: Loaded, tmp_path: Path) -> None:
    """sentence-transformers accepts only the model's rate; mm_rag resamples."""
    made = {rate: sweep(1.2, rate=rate) for rate in (8_000, 44_100, 48_000)}
    told: list[Any] = [{"array": made[rate], "sampling_rate": rate} for rate in made]
    told.append(make_wav(tmp_path / "slow.wav", made[8_000], rate=8_000))
    heard = [waveform(Audio(one) if isinstance(one, Path) else _audio(one), RATE) for one in told]
    assert all(len(one) == round(1.2 * RATE) for one in heard)

    found = omni.ours.predict([(QUERY, one) for one in told], activation_fn=IDENTITY)
    close(found, omni.theirs.predict([(QUERY, one) for one in heard], activation_fn=IDENTITY))
    # As they are, without another rate, they would sound otherwise.
    raw = omni.theirs.predict([(QUERY, one) for one in made.values()], activation_fn=IDENTITY)
    assert np.abs(found[:3] - raw).min() > CLEARLY


def _audio(told: dict[str, Any]) -> Audio:
    return Audio(told["array"], sampling_rate=told["sampling_rate"])


def test_recordings_and_films(omni: Loaded, tmp_path: Path) -> None:
    first, second = films(tmp_path)

    omni.check([(LOW, first), (second, LOW), (first, second), (HIGH, first)])


def test_an_instruction(omni: Loaded) -> None:
    pairs = [(QUERY, LOW), (LOW, HIGH), (QUERY, TEXTS[0])]

    told = omni.check(pairs, prompt="Find who says it.")
    assert np.abs(told - omni.check(pairs)).min() > CLEARLY


def test_conversations(omni: Loaded) -> None:
    def turn(role: str, *parts: Any) -> dict[str, Any]:
        kinds = ["text" if isinstance(part, str) else "audio" for part in parts]
        typed = [{"type": kind, kind: part} for kind, part in zip(kinds, parts, strict=True)]
        return {"role": role, "content": typed}

    omni.check(
        [
            [turn("query", QUERY), turn("document", "At first:", LOW, "and then:", HIGH)],
            [turn("system", "Find the same voice."), turn("query", LOW), turn("document", LONG)],
            [turn("query", QUERY), turn("document", TEXTS[0])],
        ]
    )


@pytest.mark.parametrize("case", ["texts", "a text and recordings"])
def test_logits_of_one_token_of_a_pair(
    omni: Loaded, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """The thinker ignores `logits_to_keep`, and would compute logits of every token."""
    vocabulary = omni.theirs[0].model.lm_head.out_features
    forward, counts = torch.nn.Linear.forward, list[int]()

    def counting(self: torch.nn.Linear, hidden: torch.Tensor) -> torch.Tensor:
        if self.out_features == vocabulary:
            counts.append(hidden.shape[:-1].numel())
        return forward(self, hidden)

    monkeypatch.setattr(torch.nn.Linear, "forward", counting)
    omni.ours.predict(PAIRS[case])

    assert sum(counts) == len(PAIRS[case])


def test_saved_after_a_cut(omni: Loaded, tmp_path: Path) -> None:
    """The truncation length is state of the tokenizer, and would apply to recordings too."""
    pairs = PAIRS["everything"]
    expected = omni.check(pairs)

    omni.ours.predict([(QUERY, TEXTS[0] * 40), (LOW, TEXTS[0] * 40)])
    omni.ours.save(tmp_path / "ours")
    close(Loaded.of(tmp_path / "ours").check(pairs), expected)
    tokenizer = omni.theirs[0].tokenizer
    tokenizer(TEXTS[0] * 40, truncation=True)
    omni.theirs.save_pretrained(str(tmp_path / "theirs"))
    again = Loaded.of(tmp_path / "theirs")
    assert again.theirs[0].tokenizer.init_kwargs["max_length"] == omni.ours.max_seq_length
    again.check(pairs)


def test_what_it_takes(omni: Loaded) -> None:
    assert omni.ours.is_cross_encoder
    assert all(omni.ours.supports(kind) for kind in ("audio", "audio+text", "video", "image"))


@pytest.mark.parametrize("batch_size", [1, 32])
def test_an_undecodable_recording_is_named(omni: Loaded, tmp_path: Path, batch_size: int) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + b"nothing" * 9)

    for query in (QUERY, LOW):
        with pytest.raises(UnreadableMedia, match=r"broken\.wav") as caught:
            omni.ours.rank(query, [TEXTS[0], HIGH, broken, TEXTS[1]], batch_size=batch_size)
        assert caught.value.position == 2
