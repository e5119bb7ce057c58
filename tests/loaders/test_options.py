"""LoadOptions."""

from __future__ import annotations

from typing import Any

import pytest

from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions


@pytest.mark.parametrize("name", ["clip_seconds", "passage_words", "page_pixels"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_options_must_be_positive(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=rf"LoadOptions\.{name} must be more than 0"):
        LoadOptions(**settings)
