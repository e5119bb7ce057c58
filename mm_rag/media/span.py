"""Spans: which part of a recording or video is meant."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from mm_rag.errors import InputError


def check_span(what: str, start: Any, end: Any) -> None:
    """See that a part begins and ends somewhere.

    Args:
        what: What it is a part of, for the error.
        start: In seconds.
        end: In seconds; None for the end of the whole.

    Raises:
        InputError: They are no finite numbers, or not 0 <= start < end.
    """
    given = [start] if end is None else [start, end]
    usable = all(isinstance(time, Real) and math.isfinite(time) for time in given)
    if not usable or start < 0 or (end is not None and end <= start):
        raise InputError(f"{what} needs 0 <= start < end, in seconds; got {start = }, {end = }.")
