"""A corpus under names that say nothing: what is found then was found by content alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mm_rag.evaluation import Question


def nameless(
    corpus: Path, questions: Sequence[Question], folder: Path
) -> tuple[Path, list[Question]]:
    """Copy a corpus to `folder` with its files numbered, and point the questions there.

    Files that share a stem (a video and its subtitles) share their number.
    """
    stems: dict[Path, str] = {}
    names: dict[str, str] = {}
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        stem = stems.setdefault(path.with_suffix(""), f"item-{len(stems):04}")
        names[path.relative_to(corpus).as_posix()] = stem + path.suffix
        shutil.copy(path, folder / (stem + path.suffix))
    return folder, [_renamed(question, names) for question in questions]


def _renamed(question: Question, names: dict[str, str]) -> Question:
    relevant = tuple(replace(place, file=names[place.file]) for place in question.relevant)
    return replace(question, relevant=relevant)
