from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag_loaders import AssetStore, LoadOptions


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"))
