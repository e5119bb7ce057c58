"""Replicas of rerankers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification

from .common import bert_config, word_pieces


def cross_encoder(folder: Path, *, labels: int = 1, **config: Any) -> Path:
    """The layout of ms-marco-MiniLM-L6-v2."""
    torch.manual_seed(2)
    settings = bert_config(num_labels=labels, **config)
    BertForSequenceClassification(settings).save_pretrained(folder)
    word_pieces().save_pretrained(folder)
    return folder
