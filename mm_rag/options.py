"""Options of encoding, and what they may be."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, cast, get_args

from mm_rag.content import Text
from mm_rag.errors import InputError
from mm_rag.precision import PRECISIONS, Precision

if TYPE_CHECKING:
    import torch

    from mm_rag.parallel import EncoderPool

Output: TypeAlias = Literal["numpy", "tensor"]


class EncodeOptions(TypedDict, total=False):
    """How `Encoder.encode` encodes; described there."""

    batch_size: int
    prompt: str | None
    prompt_name: str | None
    task: str | None
    normalize: bool
    truncate_dim: int | None
    precision: Precision
    progress: bool
    devices: EncoderPool | Sequence[str | torch.device]
    arguments: Mapping[str, Any]


def check_form(precision: str, output: str) -> None:
    """See that vectors can come like this, before they are made.

    Raises:
        InputError: There is no such precision or output.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise InputError(f"There is no precision {precision!r}; there are {known}.")
    if output not in get_args(Output):
        raise InputError(f"Vectors come out as 'numpy' or 'tensor'; got {output = }.")


def named_prompts(saved: Any, given: Mapping[str, str] | None) -> dict[str, str]:
    """The prompts of a checkpoint, and over them those that the caller gives.

    Raises:
        InputError: They are no texts by name.
    """
    prompts: dict[str, str] = {}
    for source in (saved, given):
        if source is not None and not isinstance(source, Mapping):
            raise InputError(f"Prompts are texts by name; got {source!r}.")
        for name, prompt in cast("Mapping[Any, Any]", source or {}).items():
            if not isinstance(prompt, str | None):
                raise InputError(f"A prompt is a text; {name!r} is {prompt!r}.")
            prompts[name] = prompt or ""
    return prompts


def chosen_prompt(prompts: Mapping[str, str], prompt: str | None, name: str | None) -> str:
    """The prompt of a call: itself, or one of the saved ones by its name; empty for none.

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
    """A `truncate_dim`, which None leaves open.

    Raises:
        InputError: It is no whole number over 0.
    """
    try:
        return None if dim is None else whole_number("truncate_dim", dim)
    except InputError as error:
        raise InputError(
            f"A vector keeps at least one dimension; got truncate_dim={dim!r}."
        ) from error


def whole_number(name: str, value: Any) -> int:
    """A size that a caller gives, of Python's or numpy's integers.

    Raises:
        InputError: It is no whole number over 0.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise InputError(f"{name} is a whole number over 0; got {value!r}.")
    return number
