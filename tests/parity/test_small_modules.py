"""Modules without a tokenizer, against sentence-transformers, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers.base.modules import Dense as TheirDense
from sentence_transformers.base.modules import Normalize as TheirNormalize
from sentence_transformers.sentence_transformer import modules as theirs
from torch import Tensor, nn
from transformers.activations import GELUActivation

from mm_rag.errors import CheckpointError
from mm_rag.modules import (
    Dense,
    Dropout,
    Features,
    LayerNorm,
    LoadOptions,
    Module,
    Normalize,
    Pooling,
)

MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
LENGTHS = (7, 3, 1, 0, 5)
RIGHT = torch.tensor([[1] * length + [0] * (7 - length) for length in LENGTHS])
HOLES = torch.tensor([[0, 1, 1, 0, 1, 0, 0]] * len(LENGTHS))
MASKS = {
    "right": RIGHT,
    "left": RIGHT.flip(1),
    "holes": HOLES,
    "bool": RIGHT.bool(),
    "left bool": RIGHT.flip(1).bool(),
    "other length": torch.ones(5, 6, dtype=torch.long),
    "none": None,
}

PAIRS: dict[str, tuple[Module, Any]] = {
    "LayerNorm": (LayerNorm(4), theirs.LayerNorm(4)),
    "Dropout": (Dropout(0.5), theirs.Dropout(0.5)),
    "Normalize": (Normalize(), TheirNormalize()),
    "Normalize tokens": (Normalize("token_embeddings"), TheirNormalize("token_embeddings")),
    "Dense": (Dense(4, 3), TheirDense(4, 3)),
    "Dense residual": (
        Dense(4, 4, activation=nn.GELU(), use_residual=True),
        TheirDense(4, 4, activation_function=nn.GELU(), use_residual=True),
    ),
    "Dense residual, projected": (
        Dense(4, 2, bias=False, activation=nn.Identity(), use_residual=True),
        TheirDense(4, 2, bias=False, activation_function=None, use_residual=True),
    ),
    "Dense of tokens": (
        Dense(4, 2, module_input_name="token_embeddings", module_output_name="made"),
        TheirDense(4, 2, module_input_name="token_embeddings", module_output_name="made"),
    ),
    "Pooling": (Pooling(4, ["max", "mean"], False), theirs.Pooling(4, ["max", "mean"], False)),
}


def inputs() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        "sentence_embedding": torch.randn(5, 4, generator=random),
        "token_embeddings": torch.randn(5, 7, 4, generator=random),
    }


def same(mine: Module, reference: Any) -> None:
    made = mine.eval()(Features(inputs()))
    expected = reference.eval()(inputs())

    assert made.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(made[name], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_both_load_what_the_other_saved(tmp_path: Path, name: str) -> None:
    mine, reference = PAIRS[name]
    mine.save(tmp_path / "mine")
    (tmp_path / "theirs").mkdir()
    reference.save(str(tmp_path / "theirs"))

    same(mine, type(reference).load(str(tmp_path / "mine")))
    same(type(mine).load(tmp_path / "theirs", LoadOptions()), reference)


def test_dropout_drops_in_training_only() -> None:
    ones = {"sentence_embedding": torch.ones(1, 1000)}
    module = Dropout(0.5)

    assert module.train()(Features(dict(ones)))["sentence_embedding"].eq(0).any()
    assert module.eval()(Features(dict(ones)))["sentence_embedding"].eq(1).all()


@pytest.mark.parametrize("prompt_length", [0, 2, 6, 9])
@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("mask", MASKS)
def test_every_pooling(mask: str, include_prompt: bool, prompt_length: int) -> None:
    tensors = {"token_embeddings": inputs()["token_embeddings"]}
    if (given := MASKS[mask]) is not None:
        tensors["attention_mask"] = given
    modes: list[Any] = [*MODES, MODES]
    for mode in modes:
        features = Features(dict(tensors), prompt_length=prompt_length)
        told: dict[str, Any] = {"prompt_length": prompt_length} if prompt_length else {}

        made = Pooling(4, mode, include_prompt)(features)
        expected = theirs.Pooling(4, mode, include_prompt)({**tensors, **told})

        # Over no tokens, sentence-transformers' maximum is minus infinity, which no search can use.
        finite = torch.nan_to_num(expected["sentence_embedding"], neginf=0.0)
        torch.testing.assert_close(made["sentence_embedding"], finite, msg=f"{mode}: differs")


@pytest.mark.parametrize(
    ("config", "modes", "include"),
    [
        ({"word_embedding_dimension": 4, "pooling_mode_cls_token": True}, ("cls",), True),
        ({"word_embedding_dimension": 4, "pooling_mode_mean_tokens": False}, ("mean",), True),
        (
            {
                "word_embedding_dimension": 4,
                "pooling_mode_mean_tokens": True,
                "pooling_mode_max_tokens": True,
                "include_prompt": False,
            },
            ("max", "mean"),
            False,
        ),
        ({"embedding_dimension": 4, "pooling_mode": "lasttoken", "new": 1}, ("lasttoken",), True),
    ],
)
def test_pooling_configs_of_all_versions(
    tmp_path: Path, config: dict[str, Any], modes: tuple[str, ...], include: bool
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    pooling = Pooling.load(tmp_path, LoadOptions())

    assert (pooling.modes, pooling.include_prompt, pooling.in_dim) == (modes, include, 4)


def test_an_activation_of_transformers() -> None:
    config = {
        "in_features": 4,
        "out_features": 3,
        "activation_function": "transformers.activations.GELUActivation",
        "of_a_later_version": True,
    }

    assert isinstance(Dense.from_config(config).activation_function, GELUActivation)


@pytest.mark.parametrize(
    "name", ["Tanh", "torch.nn.Threshold", "transformers.activations.Tensor", "torch.nn.Nonsense"]
)
def test_an_activation_that_is_none(name: str) -> None:
    config = {"in_features": 4, "out_features": 3, "activation_function": name}

    with pytest.raises(CheckpointError, match="activation"):
        Dense.from_config(config)
