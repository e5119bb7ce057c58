"""The tables of the ranking benchmark."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ranking.metrics import area_under_curve, calibration_error, interval, reliability

SYSTEMS = ("vectors", "BM25", "min-max sum", "not reranked", "search")
_PAGE = Path(__file__).parents[2] / "docs" / "ranking.md"
_BEGIN, _END = "<!-- begin ranking -->", "<!-- end ranking -->"

Record = dict[str, Any]


def written(records: Sequence[Record]) -> str:
    """All tables in Markdown."""
    answerable = [one for one in records if one["answerable"]]
    parts = [
        "nDCG@10 by set, with the 95% intervals of `search` and of its difference to the best of "
        "the first three:\n",
        *_ranked(answerable, lambda one: one["set"]),
        "\nBy kind of question:\n",
        *_ranked(answerable, lambda one: one["kind"]),
        "\nShare of questions whose first hit is right:\n",
        *_first(answerable),
        "\nScores of the first hit, by number of segments:\n",
        *_scores(records),
        "\nReliability of the scores of first hits:\n",
        *_reliability(records),
    ]
    return "\n".join(parts)


def write_docs(records: Sequence[Record]) -> None:
    """Write the tables between the markers of docs/ranking.md."""
    page = _PAGE.read_text()
    before, after = page.split(_BEGIN)[0], page.split(_END)[1]
    _PAGE.write_text(f"{before}{_BEGIN}\n{written(records)}\n{_END}{after}")


def _groups(
    records: Sequence[Record], key: Callable[[Record], str]
) -> Iterator[tuple[str, list[Record]]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        groups[key(one)].append(one)
    yield from groups.items()
    yield "**all**", list(records)


def _ranked(records: Sequence[Record], key: Callable[[Record], str]) -> Iterator[str]:
    yield f"| | questions | {' | '.join(SYSTEMS)} | interval | difference |"
    yield "|---|---|" + "---|" * (len(SYSTEMS) + 2)
    for name, group in _groups(records, key):
        means = {s: sum(one["ndcg"][s] for one in group) / len(group) for s in SYSTEMS}
        best = max(SYSTEMS[:3], key=lambda system: means[system])
        _, low, high = interval([one["ndcg"]["search"] for one in group])
        gains = interval([one["ndcg"]["search"] - one["ndcg"][best] for one in group])
        figures = " | ".join(f"{means[system]:.3f}" for system in SYSTEMS)
        gain = f"{gains[0]:+.3f} ({gains[1]:+.3f} to {gains[2]:+.3f})"
        yield f"| {name} | {len(group)} | {figures} | {low:.3f}-{high:.3f} | {gain} |"


def _first(records: Sequence[Record]) -> Iterator[str]:
    yield f"| | questions | {' | '.join(SYSTEMS)} |"
    yield "|---|---|" + "---|" * len(SYSTEMS)
    for name, group in _groups(records, lambda one: one["kind"]):
        shares = (sum(one["first"][system] for one in group) / len(group) for system in SYSTEMS)
        yield f"| {name} | {len(group)} | {' | '.join(f'{share:.3f}' for share in shares)} |"


def _top(records: Sequence[Record]) -> tuple[list[float], list[bool]]:
    """Scores of the first hits, 0 where there is none, and whether they are right."""
    scores = [one["hits"][0]["score"] if one["hits"] else 0.0 for one in records]
    return scores, [bool(one["hits"]) and one["hits"][0]["right"] for one in records]


def _scores(records: Sequence[Record]) -> Iterator[str]:
    yield "| segments | questions | without an answer | AUC | calibration error |"
    yield "|---|---|---|---|---|"
    for name, group in _groups(records, lambda one: _size(one["segments"])):
        scores, right = _top(group)
        found = [score for score, is_right in zip(scores, right, strict=True) if is_right]
        without = [s for s, one in zip(scores, group, strict=True) if not one["answerable"]]
        area, error = area_under_curve(found, without), calibration_error(scores, right)
        yield f"| {name} | {len(group)} | {len(without)} | {area:.3f} | {error:.3f} |"


def _size(segments: int) -> str:
    return next(f"up to {n:,}" for n in (60, 600, 6_000, 10**9) if segments <= n)


def _reliability(records: Sequence[Record]) -> Iterator[str]:
    yield "| score | hits | mean score | share right |"
    yield "|---|---|---|---|"
    for number, (n, mean, share) in enumerate(reliability(*_top(records))):
        if n and not math.isnan(mean):
            yield f"| {number / 10:.1f}-{number / 10 + 0.1:.1f} | {n} | {mean:.2f} | {share:.2f} |"
