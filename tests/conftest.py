"""What every test shares: no network, and one embedded default model for the whole run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before huggingface_hub is imported: a missing model fails fast, and transformers copies the code
# of checkpoints to a folder that no other run of the tests uses, and that nobody keeps.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="mm-rag-tests-")
atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)
