"""What every test shares: no network, and one embedded default model for the whole run."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: a missing model fails fast
