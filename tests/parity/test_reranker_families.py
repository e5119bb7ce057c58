"""Each family of rerankers gives the scores and the order of sentence-transformers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from mm_rag import Reranker
from mm_rag.errors import UnsupportedModality
from mm_rag.reranker import Ranked
from tests.parity import samples
from tests.parity.rerankers import RERANKERS, RerankerFamily

# On logits of about 5. sentence-transformers' own change by 1e-5 with the padding on the left,
# because its positions begin there.
TOLERANCE = 5e-5
CLEARLY = 1e-3  # apart
LOGITS = torch.nn.Identity()

QUERY = "What turns light into sugar?"
DOCUMENTS = [
    "Photosynthesis turns light, water and air into sugar and oxygen.",
    "",
    "Invoices are paid within thirty days; late payments cost interest.",
    "light",
    "The quarterly revenue ROSE by 12% while costs fell, said the chart on page 3.",
    "light",
]
# More than any replica takes.
LONG = "Late payments cost interest, and the cat sat on the mat with the dog. " * 60
PAIRS = [
    (QUERY, DOCUMENTS[0]),
    ("When are invoices paid?", DOCUMENTS[2]),
    (QUERY, DOCUMENTS[4]),
    ("When are invoices paid?", DOCUMENTS[0]),
    ("", DOCUMENTS[3]),
    (QUERY, DOCUMENTS[1]),
]
INSTRUCTION = "Find the page with the chart"

families = pytest.mark.parametrize("family", RERANKERS, ids=lambda family: family.name)
seen = pytest.mark.parametrize(
    ("family", "modality"),
    [
        pytest.param(family, modality, id=f"{family.name}-{modality}")
        for family in RERANKERS
        for modality in family.modalities
        if modality != "message"
    ],
)


def long_ones(family: RerankerFamily) -> list[str]:
    """Documents that are truncated where sentence-transformers truncates them.

    What it restores of a row that it cut is the end of the template: where the query comes after
    the document, the query is lost. test_the_end_of_a_document compares those.
    """
    return [] if family.name == "Jina Reranker m0" else [LONG, LONG[9:]]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A replica in both libraries."""

    folder: Path
    ours: Reranker
    theirs: Any  # a CrossEncoder, whose annotations leave out much that it takes


Load = Callable[[RerankerFamily], Loaded]


def ours(family: RerankerFamily, folder: Path, **options: Any) -> Reranker:
    trust = family.trust_remote_code
    return Reranker(folder, device="cpu", trust_remote_code=trust, **options)


def theirs(family: RerankerFamily, folder: Path, **options: Any) -> Any:
    trust = family.trust_remote_code
    return CrossEncoder(str(folder), device="cpu", trust_remote_code=trust, **options)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Make and load every replica once."""
    loaded: dict[str, Loaded] = {}

    def load(family: RerankerFamily) -> Loaded:
        if family.name not in loaded:
            folder = family.make(tmp_path_factory.mktemp("replica"))
            loaded[family.name] = Loaded(
                folder=folder, ours=ours(family, folder), theirs=theirs(family, folder)
            )
        return loaded[family.name]

    return load


def close(mine: Any, reference: Any) -> None:
    """Check that scores are equal, and that different pairs have different scores."""
    expected = np.asarray(reference)
    np.testing.assert_allclose(np.asarray(mine), expected, rtol=0, atol=TOLERANCE)
    assert expected.size == 1 or np.ptp(expected) > CLEARLY


def same_order(mine: list[Ranked], reference: list[Any]) -> None:
    """Check that rankings are equal, except among equal scores."""
    close([place["score"] for place in mine], [place["score"] for place in reference])
    scores = {place["corpus_id"]: place["score"] for place in reference}
    assert len({place["index"] for place in mine}) == len(mine) == len(reference)
    close([scores[place["index"]] for place in mine], [place["score"] for place in reference])


def sides_of(family: RerankerFamily) -> list[str]:
    """Modalities of a single side; chat messages contain both sides."""
    return [modality for modality in family.modalities if modality != "message"]


def documents_of(modality: str) -> list[Any]:
    """Inputs in forms that both libraries accept."""
    makers: dict[str, Callable[[], list[Any]]] = {
        "text": lambda: DOCUMENTS,
        "image": samples.pictures,
        "audio": lambda: samples.recordings(16_000),
        "video": lambda: [clip["array"] for clip in samples.videos()],
        "image+text": samples.together,
    }
    return makers[modality]()


@families
def test_one_pair(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    for pair in PAIRS[:2]:
        mine = both.ours.predict(pair, activation_fn=LOGITS)
        assert np.ndim(mine) == 0
        close(mine, both.theirs.predict(pair, activation_fn=LOGITS))
        [alone] = both.ours.predict([pair], activation_fn=LOGITS)
        close(alone, mine)


@families
def test_one_query_and_many_documents(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    documents = [*DOCUMENTS, *long_ones(family)]
    pairs = [(QUERY, document) for document in documents]
    reference = both.theirs.predict(pairs, activation_fn=LOGITS)

    close(both.ours.predict(pairs, activation_fn=LOGITS), reference)
    ranked = both.ours.rank(QUERY, documents, activation_fn=LOGITS)
    same_order(ranked, both.theirs.rank(QUERY, documents, activation_fn=LOGITS))
    assert both.ours.rank(QUERY, documents, 3, activation_fn=LOGITS) == ranked[:3]


@families
def test_many_queries(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    reference = both.theirs.predict(PAIRS, activation_fn=LOGITS)

    close(both.ours.predict(PAIRS, activation_fn=LOGITS), reference)


@families
def test_the_activation_of_the_checkpoint(load: Load, family: RerankerFamily) -> None:
    both = load(family)

    close(both.ours.predict(PAIRS), both.theirs.predict(PAIRS))
    given = torch.nn.Tanh()
    expected = both.theirs.predict(PAIRS, activation_fn=given)
    close(both.ours.predict(PAIRS, activation_fn=given), expected)


@families
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_batch_sizes(load: Load, family: RerankerFamily, batch_size: int) -> None:
    both = load(family)
    reference = both.theirs.predict(PAIRS, activation_fn=LOGITS)

    close(both.ours.predict(PAIRS, activation_fn=LOGITS, batch_size=batch_size), reference)
    one = [(QUERY, document) for document in (*DOCUMENTS, *long_ones(family))]
    reference = both.theirs.predict(one, activation_fn=LOGITS)
    close(both.ours.predict(one, activation_fn=LOGITS, batch_size=batch_size), reference)


@families
def test_an_instruction(load: Load, family: RerankerFamily) -> None:
    """Whatever the checkpoint's default is: another one, none, and the default."""
    both = load(family)
    usual = both.theirs.predict(PAIRS, activation_fn=LOGITS)
    told = both.theirs.predict(PAIRS, activation_fn=LOGITS, prompt=INSTRUCTION)
    assert np.abs(told - usual).max() > CLEARLY

    close(both.ours.predict(PAIRS, activation_fn=LOGITS, prompt=INSTRUCTION), told)
    close(both.ours.predict(PAIRS, activation_fn=LOGITS), usual)
    documents = [document for _, document in PAIRS]
    ranked = both.ours.rank(QUERY, documents, prompt=INSTRUCTION)
    same_order(ranked, both.theirs.rank(QUERY, documents, prompt=INSTRUCTION))


@families
def test_instructions_by_name(load: Load, family: RerankerFamily) -> None:
    folder = load(family).folder
    prompts = {"chart": INSTRUCTION, "other": "Is it about food? "}
    options: dict[str, Any] = {"prompts": prompts, "default_prompt_name": "other"}
    mine, reference = ours(family, folder, **options), theirs(family, folder, **options)

    assert mine.prompts == reference.prompts
    expected = reference.predict(PAIRS, activation_fn=LOGITS)
    close(mine.predict(PAIRS, activation_fn=LOGITS), expected)
    named = reference.predict(PAIRS, activation_fn=LOGITS, prompt_name="chart")
    close(mine.predict(PAIRS, activation_fn=LOGITS, prompt_name="chart"), named)
    assert np.abs(named - expected).max() > CLEARLY


@families
def test_prompts_of_the_checkpoint(load: Load, family: RerankerFamily) -> None:
    both = load(family)

    for name, text in both.theirs.prompts.items():
        assert both.ours.prompts[name] == text
        if name in {"query", "document"} and not text:
            continue  # those that sentence-transformers adds to any model
        expected = both.theirs.predict(PAIRS, activation_fn=LOGITS, prompt_name=name)
        close(both.ours.predict(PAIRS, activation_fn=LOGITS, prompt_name=name), expected)


@families
@pytest.mark.parametrize("fewer", [0, 15])
def test_the_end_of_a_document(load: Load, family: RerankerFamily, fewer: int) -> None:
    """The document keeps the longest prefix with which the pair fits; nothing else changes."""
    both = load(family)
    limit = both.theirs.max_seq_length - fewer
    mine = ours(family, both.folder, max_seq_length=limit) if fewer else both.ours
    start = longest_start(both.theirs, limit)
    pairs = [("page", LONG), ("page", start), ("page", DOCUMENTS[2])]
    reference = both.theirs.predict([("page", start), *pairs[1:]], activation_fn=LOGITS)

    assert mine.max_seq_length == limit
    close(mine.predict(pairs, activation_fn=LOGITS), reference)
    close(mine.predict(pairs[0], activation_fn=LOGITS), reference[0])


def longest_start(theirs: Any, limit: int) -> str:
    """The longest prefix of LONG with which sentence-transformers makes `limit` tokens."""
    tokenizer = theirs[0].tokenizer
    spans = tokenizer(LONG, return_offsets_mapping=True)["offset_mapping"]
    ends = sorted({end for _, end in spans})
    prompt = theirs.prompts[theirs.default_prompt_name] if theirs.default_prompt_name else None
    more = {"text": {"max_length": 2048}}

    def tokens(end: int) -> int:
        pair = ("page", LONG[:end])
        features = theirs.preprocess([pair], prompt=prompt, processing_kwargs=more)
        return features["input_ids"].shape[1]

    return LONG[: ends[bisect_right(ends, limit, key=tokens) - 1]]


@families
def test_fewer_tokens(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    limit = both.theirs.max_seq_length - 15
    mine = ours(family, both.folder, max_seq_length=limit)
    reference = theirs(family, both.folder, max_length=limit)
    pairs = [(QUERY, document) for document in (*DOCUMENTS, *long_ones(family))]

    close(mine.predict(pairs, activation_fn=LOGITS), reference.predict(pairs, activation_fn=LOGITS))


@families
def test_a_cut_is_said_once(
    load: Load, family: RerankerFamily, caplog: pytest.LogCaptureFixture
) -> None:
    mine = ours(family, load(family).folder)

    mine.predict([(QUERY, document) for document in DOCUMENTS])
    assert not said(caplog)
    mine.predict([(QUERY, LONG), (QUERY, LONG)])
    mine.rank(QUERY, [LONG])
    assert len(said(caplog)) == 1


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Log records of mm_rag, not of transformers."""
    return [record.message for record in caplog.records if record.name.startswith("mm_rag")]


@seen
def test_documents_of_each_modality(load: Load, family: RerankerFamily, modality: str) -> None:
    both = load(family)
    documents = documents_of(modality)
    reference = both.theirs.predict([(QUERY, item) for item in documents], activation_fn=LOGITS)

    assert both.ours.supports(modality)
    found = both.ours.predict([(QUERY, item) for item in documents], activation_fn=LOGITS)
    close(found, reference)
    same_order(both.ours.rank(QUERY, documents), both.theirs.rank(QUERY, documents))


@seen
def test_queries_of_each_modality(load: Load, family: RerankerFamily, modality: str) -> None:
    both = load(family)
    for query in documents_of(modality)[:2]:
        pairs = [(query, document) for document in DOCUMENTS]
        reference = both.theirs.predict(pairs, activation_fn=LOGITS)
        close(both.ours.predict(pairs, activation_fn=LOGITS), reference)


@families
def test_all_modalities_in_one_call(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    columns = [documents_of(modality)[:2] for modality in sides_of(family)]
    mixed = [item for row in zip(*columns, strict=True) for item in row]
    apart = [[(QUERY, item)] for item in mixed]
    reference = [both.theirs.predict(pairs, activation_fn=LOGITS)[0] for pairs in apart]

    close(both.ours.predict([(QUERY, item) for item in mixed], activation_fn=LOGITS), reference)


@families
def test_pairs_as_messages(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    if "message" not in family.modalities:
        assert not both.ours.supports("message")
        with pytest.raises(UnsupportedModality):
            both.ours.predict(conversations())
        return
    # sentence-transformers renders content as it comes: templates that want bare texts need them.
    flat = both.theirs[0].input_formatter.message_format == "flat"
    options: dict[str, Any] = {"activation_fn": LOGITS, "prompt": ""}
    reference = both.theirs.predict(conversations(flat=flat), **options)

    assert both.ours.supports("message")
    close(both.ours.predict(conversations(), **options), reference)
    close(both.ours.predict(conversations(flat=True), **options), reference)
    close(both.ours.predict(PAIRS[:4], **options), reference[:4])


def conversations(*, flat: bool = False) -> list[list[dict[str, Any]]]:
    """Four pairs, and the first one with an instruction."""

    def turn(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": text if flat else [{"type": "text", "text": text}]}

    pairs = [[turn("query", query), turn("document", document)] for query, document in PAIRS[:4]]
    return [*pairs, [turn("system", INSTRUCTION), *pairs[0]]]


@families
def test_saved_here(load: Load, family: RerankerFamily, tmp_path: Path) -> None:
    both = load(family)
    both.ours.save(tmp_path)
    again, there = ours(family, tmp_path), theirs(family, tmp_path)

    for activation in (LOGITS, None):
        expected = both.theirs.predict(PAIRS, activation_fn=activation)
        close(again.predict(PAIRS, activation_fn=activation), expected)
        close(there.predict(PAIRS, activation_fn=activation), expected)
    assert again.max_seq_length == there.max_seq_length == both.ours.max_seq_length
    assert again.prompts == both.ours.prompts


@families
def test_saved_there(load: Load, family: RerankerFamily, tmp_path: Path) -> None:
    both = load(family)
    both.theirs.save_pretrained(str(tmp_path), create_model_card=False)
    mine = ours(family, tmp_path)

    for activation in (LOGITS, None):
        expected = both.theirs.predict(PAIRS, activation_fn=activation)
        close(mine.predict(PAIRS, activation_fn=activation), expected)


@families
def test_what_is_printed(load: Load, family: RerankerFamily) -> None:
    both = load(family)
    printed = repr(both.ours)

    for module in both.theirs:
        assert type(module).__name__ in printed
    assert type(both.theirs[0].model).__name__ in printed
