"""Replicas as encoders, for tests that need a model of some family."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from mm_rag import Encoder
from tests.parity.families import FAMILIES

Make: TypeAlias = Callable[[str], Encoder]


def maker(folders: pytest.TempPathFactory) -> Make:
    """Makes replicas by the names of their families, each of them once."""
    made: dict[str, Encoder] = {}

    def make(name: str) -> Encoder:
        if name not in made:
            family = next(family for family in FAMILIES if family.name == name)
            made[name] = Encoder(family.make(folders.mktemp("replica")), device="cpu")
        return made[name]

    return make
