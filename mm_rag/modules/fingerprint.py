"""A short name for what a model computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from mm_rag.modules.chain import Chain

# Values looked at in each tensor, evenly spread. Any training changes nearly all values of a
# tensor, so a sample tells models apart, in milliseconds and without reading gigabytes.
_SAMPLE = 64


def fingerprint(chain: Chain, **settings: Any) -> str:
    """16 hex digits over a chain's modules and their settings, a sample of its weights, `settings`.

    Values are compared as bfloat16, so that a model has the same fingerprint when it is loaded
    with another precision or on another device: the vectors are the same but for rounding.
    """
    digest = hashlib.sha256()
    modules = [(module.type_name, module.config()) for module in chain]
    digest.update(json.dumps([modules, settings], sort_keys=True, default=str).encode())
    for name, tensor in sorted(chain.state_dict().items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // _SAMPLE)].to(torch.bfloat16)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
