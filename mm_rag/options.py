"""The options of encoders and rerankers: check them, and accept sentence-transformers' names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, cast, get_args

from mm_rag.content import Text
from mm_rag.errors import InputError, UnknownAttribute
from mm_rag.parallel import Pool
from mm_rag.precision import PRECISIONS, Precision

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")
Output: TypeAlias = Literal["numpy", "tensor"]


class EncodeOptions(TypedDict, total=False):
    """Options of `Encoder.encode`, described there.

    From `show_progress_bar` on they are sentence-transformers' names: `show_progress_bar` is
    `progress`, `normalize_embeddings` is `normalize`, `pool` is `devices`, and a list as `device`
    is `devices`, too. `output_value` can only be `"sentence_embedding"`, and `chunk_size` only
    None.
    """

    batch_size: int
    prompt: str | None
    prompt_name: str | None
    task: str | None
    normalize: bool
    truncate_dim: int | None
    precision: Precision
    progress: bool
    devices: Pool | Sequence[str | torch.device]
    arguments: Mapping[str, Any] | None
    show_progress_bar: bool | None
    normalize_embeddings: bool
    device: str | torch.device | Sequence[str | torch.device] | None
    pool: Pool | None
    output_value: str | None
    chunk_size: int | None


def check_form(precision: str, output: str) -> None:
    """Check the form of the vectors before they are made.

    Raises:
        InputError: There is no such precision or output.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise InputError(f"There is no precision {precision!r}; there are {known}.")
    if output not in get_args(Output):
        raise InputError(f"Vectors come out as 'numpy' or 'tensor'; got {output = }.")


def named_prompts(saved: Any, given: Mapping[str, str] | None) -> dict[str, str]:
    """Merge the prompts of a checkpoint with those of the caller, which take precedence.

    Raises:
        InputError: One of them does not map names to strings.
    """
    prompts: dict[str, str] = {}
    for source in (saved, given):
        if source is not None and not isinstance(source, Mapping):
            raise InputError(f"Prompts must map names to strings; got {source!r}.")
        for name, prompt in cast("Mapping[Any, Any]", source or {}).items():
            if not isinstance(prompt, str | None):
                raise InputError(f"A prompt is a string; {name!r} is {prompt!r}.")
            prompts[name] = prompt or ""
    return prompts


def chosen_prompt(prompts: Mapping[str, str], prompt: str | None, name: str | None) -> str:
    """Return the prompt of a call: `prompt`, or else the one called `name`; empty for none.

    Raises:
        InputError: There is no prompt of that name.
    """
    if prompt is not None or name is None:
        return Text(prompt or "").text
    if name not in prompts:
        known = ", ".join(prompts) or "none"
        raise InputError(f"The model has no prompt named {name!r}; it has {known}.")
    return prompts[name]


def kept_dimensions(dim: Any) -> int | None:
    """Check a `truncate_dim`; None keeps all dimensions.

    Raises:
        InputError: It is not a positive integer.
    """
    try:
        return None if dim is None else whole_number("truncate_dim", dim)
    except InputError as error:
        raise InputError(
            f"A vector keeps at least one dimension; got truncate_dim={dim!r}."
        ) from error


def whole_number(name: str, value: Any) -> int:
    """Check a size, as an integer of Python or numpy.

    Raises:
        InputError: It is not a positive integer.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise InputError(f"{name} is a whole number over 0; got {value!r}.")
    return number


def check_attribute(owner: object, kind: type, name: str) -> None:
    """Check that an assigned attribute exists; subclasses of `kind` may have any attributes.

    Raises:
        UnknownAttribute: It does not exist, so that assigning it would have no effect.
    """
    if type(owner) is not kind or hasattr(kind, name) or name in kind.__annotations__:
        return
    known = sorted(one for one in {*vars(kind), *kind.__annotations__} if not one.startswith("_"))
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}."
    raise UnknownAttribute(f"{kind.__name__} has no attribute {name!r} that could be set; {hint}")


# What an argument of sentence-transformers means here, given the model and the value.
Meaning: TypeAlias = Callable[[Any, Any], Mapping[str, Any]]


def also_named(
    names: Mapping[str, Meaning],
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorate a method so that it also accepts arguments under sentence-transformers' names.

    Args:
        names: Their names, and what they mean.
    """

    def decorate(method: Callable[..., Result]) -> Callable[..., Result]:
        @wraps(method)
        def called(model: Any, *args: Any, **options: Any) -> Result:
            if names.keys().isdisjoint(options):
                return method(model, *args, **options)
            ours = {name: value for name, value in options.items() if name not in names}
            for name in names.keys() & options.keys():
                meant = names[name](model, options[name])
                if twice := sorted(meant.keys() & ours.keys()):
                    raise InputError(f"{name} and {twice[0]} say the same: give one of them.")
                ours |= meant
            return method(model, *args, **ours)

        return called

    return decorate


def _as(ours: str) -> Meaning:
    """The same value under another name."""
    return lambda _, value: {ours: value}


def _switch(ours: str) -> Meaning:
    """A boolean under another name; None, "by the log level" in sentence-transformers, is False."""
    return lambda _, value: {ours: bool(value)}


def _not_here(name: str, instead: str, *harmless: Any) -> Meaning:
    """An argument without a counterpart, of which only values without effect are accepted."""

    def refuse(_: Any, value: Any) -> Mapping[str, Any]:
        if value is None or value in harmless:
            return {}
        raise InputError(f"There is no {name} here: {instead}")

    return refuse


def _device(model: Any, value: Any) -> Mapping[str, Any]:
    """One device, to which the model is moved, or several for worker processes."""
    if isinstance(value, list | tuple):
        return {"devices": value}
    if value is not None:
        model.to(value)
    return {}


def _pool(_: Any, value: Any) -> Mapping[str, Any]:
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
        "chunk_size", "the pool splits the inputs itself, so that every process has work."
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
RERANKER: Mapping[str, Meaning] = {
    "model_name_or_path": _as("model"),
    "model_name": _as("model"),
    "max_length": _as("max_seq_length"),
    "automodel_args": _as("model_kwargs"),
    "tokenizer_args": _as("processor_kwargs"),
    "config_args": _as("config_kwargs"),
    "default_activation_function": _as("activation_fn"),
    "activation_fct": _as("activation_fn"),
    "keep_in_fp32_modules": _not_here("keep_in_fp32_modules", "give a dtype."),
}
