"""What every test shares: no network, and one built-in default model for the whole run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from mm_rag_loaders import loading

# Before huggingface_hub is imported: a missing model fails fast, and transformers copies the code
# of checkpoints to a folder of this run alone, which is deleted.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="mm-rag-tests-")
atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)


_default_workers = loading.default_workers


@pytest.fixture(autouse=True, scope="session")
def _in_this_process() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Files are read in this process, where they can be watched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "default_workers", lambda: 0)
        yield


@pytest.fixture(autouse=True)
def _in_workers(  # pyright: ignore[reportUnusedFunction]
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In tests of the workers, files are read as users read them."""
    if "workers" in request.keywords:
        monkeypatch.setattr(loading, "default_workers", _default_workers)
