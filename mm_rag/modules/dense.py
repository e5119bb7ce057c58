"""Dense: a linear layer with an activation."""

from __future__ import annotations

from typing import Any, Self

from torch import nn
from transformers import activations

from mm_rag.errors import CheckpointError
from mm_rag.modules.module import Features, Module

_KEYS = (
    "in_features",
    "out_features",
    "bias",
    "module_input_name",
    "module_output_name",
    "use_residual",
)


class Dense(Module):
    """Project vectors: `activation(W x + b)`, plus `x` where `use_residual`.

    Args:
        in_features: The dimension that it takes.
        out_features: The dimension that it gives.
        bias: Whether there is a `b`.
        activation: Applied to the projection; Tanh when None, as in sentence-transformers.
        module_input_name: Which features it projects.
        module_output_name: Where they go; the same name when None.
        use_residual: Add the input; projected too where the dimensions differ.
    """

    type_name = "sentence_transformers.base.modules.dense.Dense"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        activation: nn.Module | None = None,
        module_input_name: str = "sentence_embedding",
        module_output_name: str | None = None,
        use_residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.bias = bias
        # Both names are sentence-transformers': they are the keys of its weights.
        self.activation_function = nn.Tanh() if activation is None else activation
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name
        self.use_residual = use_residual
        if use_residual and in_features != out_features:
            self.residual = nn.Linear(in_features, out_features, bias=False)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Ignores keys of later versions, as sentence-transformers does."""
        known = {key: config[key] for key in _KEYS if key in config}
        name = config.get("activation_function")
        return cls(**known, activation=activation_by_name(name) if name else None)

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers 6."""
        known = {key: getattr(self, key) for key in _KEYS}
        if not self.use_residual:
            del known["use_residual"]  # versions before 5.7 refuse keys that they do not know
        activation = type(self.activation_function)
        return known | {"activation_function": f"{activation.__module__}.{activation.__name__}"}

    @property
    def takes(self) -> int:
        """The dimension that it takes."""
        return self.in_features

    @property
    def gives(self) -> int:
        """The dimension that it gives."""
        return self.out_features

    @property
    def label(self) -> str:
        """Such as `Dense(384 -> 768)`."""
        return f"Dense({self.in_features} -> {self.out_features})"

    def forward(self, features: Features) -> Features:
        """Project `module_input_name`."""
        vectors = features[self.module_input_name].to(self.linear.weight.dtype)
        projected = self.activation_function(self.linear(vectors))
        if self.use_residual:
            same = self.in_features == self.out_features
            projected = projected + (vectors if same else self.residual(vectors))
        features[self.module_output_name] = projected
        return features


def activation_by_name(name: str) -> nn.Module:
    """Make an activation out of its dotted name in a checkpoint.

    Only classes of torch and of transformers' activations are taken: a checkpoint must not choose
    what code runs.

    Raises:
        CheckpointError: It is none of them, or it cannot be made without arguments.
    """
    package, _, class_name = name.rpartition(".")
    inside_torch = package == "torch.nn" or package.startswith("torch.nn.modules.")
    home = nn if inside_torch else activations if package == activations.__name__ else None
    found = getattr(home, class_name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise CheckpointError(
            f"The activation {name!r} is no class of torch.nn or transformers.activations."
        )
    try:
        return found()
    except TypeError as error:
        raise CheckpointError(f"The activation {name!r} needs arguments: {error}") from error
