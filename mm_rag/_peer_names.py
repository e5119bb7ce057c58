"""The names that sentence-transformers has for arguments that are called otherwise here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from mm_rag.errors import InputError

P = ParamSpec("P")
Model = TypeVar("Model")
Result = TypeVar("Result")

# What an argument of theirs is here, given the model and the value.
Meaning: TypeAlias = Callable[[Any, Any], Mapping[str, Any]]


def also_named(
    names: Mapping[str, Meaning],
) -> Callable[[Callable[Concatenate[Model, P], Result]], Callable[Concatenate[Model, P], Result]]:
    """Let a method take arguments under the names of sentence-transformers, too.

    Args:
        names: What each of them means here.
    """

    def decorate(
        method: Callable[Concatenate[Model, P], Result],
    ) -> Callable[Concatenate[Model, P], Result]:
        @wraps(method)
        def called(model: Model, *args: P.args, **options: P.kwargs) -> Result:
            if names.keys().isdisjoint(options):
                return method(model, *args, **options)
            ours: dict[str, Any] = {
                name: value for name, value in options.items() if name not in names
            }
            for name, meaning in names.items():
                if name in options:
                    meant = meaning(model, options[name])
                    if twice := sorted(meant.keys() & ours.keys()):
                        raise InputError(f"{name} and {twice[0]} say the same: give one of them.")
                    ours |= meant
            return method(model, *args, **ours)  # pyright: ignore[reportCallIssue]

        return called

    return decorate


def _as(ours: str) -> Meaning:
    """The same value under another name."""
    return lambda _, value: {ours: value}


def _switch(ours: str) -> Meaning:
    """True or False; None, which sentence-transformers takes for "by the log level", is False."""
    return lambda _, value: {ours: bool(value)}


def _not_here(name: str, instead: str, *harmless: Any) -> Meaning:
    """An argument without a counterpart, which may have the value that changes nothing."""

    def refuse(_: Any, value: Any) -> Mapping[str, Any]:
        if value is None or value in harmless:
            return {}
        raise InputError(f"There is no {name} here: {instead}")

    return refuse


def _device(model: Any, value: Any) -> Mapping[str, Any]:
    """One device, to which the model is moved, or several that share the work."""
    if isinstance(value, list | tuple):
        return {"devices": value}
    if value is not None:
        model.to(value)
    return {}


def _pool(_: Any, value: Any) -> Mapping[str, Any]:
    from mm_rag.parallel import Pool

    if value is not None and not isinstance(value, Pool):
        raise InputError(f"pool is what encoder.pool(devices) makes; got a {type(value).__name__}.")
    return {} if value is None else {"devices": value}


_OUTPUT: Mapping[str, Meaning] = {
    "convert_to_tensor": lambda _, value: {"output": "tensor"} if value else {},
    "convert_to_numpy": lambda _, value: {} if value else {"output": "tensor"},
}
_RUN: Mapping[str, Meaning] = {
    "show_progress_bar": _switch("progress"),
    "device": _device,
    "pool": _pool,
    "chunk_size": _not_here(
        "chunk_size", "the pool cuts the inputs itself, so that every process has work."
    ),
}
ENCODE: Mapping[str, Meaning] = {
    **_RUN,
    **_OUTPUT,
    "normalize_embeddings": _switch("normalize"),
    "output_value": _not_here(
        "output_value", "encode_tokens gives the vectors of tokens.", "sentence_embedding"
    ),
}
RANK: Mapping[str, Meaning] = {
    **_RUN,
    "activation_fct": _as("activation_fn"),
    "num_workers": _not_here("num_workers", "leave it out.", 0),
}
PREDICT: Mapping[str, Meaning] = {**RANK, **_OUTPUT}

_LOAD: Mapping[str, Meaning] = {
    "model_name_or_path": _as("model"),
    "tokenizer_kwargs": _as("processor_kwargs"),
    "use_auth_token": _as("token"),
    "backend": _not_here("backend", "models run in torch.", "torch"),
    "model_card_data": _not_here("model_card_data", "write the README.md of what save() wrote."),
}
ENCODER: Mapping[str, Meaning] = {
    **_LOAD,
    "similarity_fn_name": lambda _, value: {"similarity": getattr(value, "value", value)},
}
RERANKER: Mapping[str, Meaning] = {
    **_LOAD,
    "model_name": _as("model"),
    "max_length": _as("max_seq_length"),
    "automodel_args": _as("model_kwargs"),
    "tokenizer_args": _as("processor_kwargs"),
    "config_args": _as("config_kwargs"),
    "default_activation_function": _as("activation_fn"),
    "activation_fct": _as("activation_fn"),
    "keep_in_fp32_modules": _not_here("keep_in_fp32_modules", "give a dtype."),
}
