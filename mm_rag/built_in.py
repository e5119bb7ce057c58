"""The built-in encoders: a small text model behind readers, which run anywhere.

The text model encodes texts directly; pictures, recordings and videos are read first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mm_rag.checkpoints.config_files import MODEL_CONFIG, read_json
from mm_rag.checkpoints.e5_small import e5_small_folder
from mm_rag.checkpoints.locate import find_default_model, find_model
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.modules import (
    Chain,
    ReadAudio,
    ReadImage,
    ReadVideo,
    Router,
    Transformer,
    ZeroEmpty,
)
from mm_rag.packaged import E5_ON_HUB

logger = logging.getLogger(__name__)

_PREFIX = "mm-rag/"

E5_SMALL = "mm-rag/multilingual-e5-small"
"""The default: texts in a hundred languages."""

MINILM = "mm-rag/minilm"
"""The former default, all-MiniLM-L6-v2: English texts."""

FORMER_NAME = "embedded"
"""Name of all-MiniLM-L6-v2 in collections and settings made while it was the default."""

SIMILARITY_DEVIATIONS = {E5_SMALL: 0.02, MINILM: 0.1}
"""Standard deviation of the cosines between a question and unrelated passages: 0.014 to 0.026 in
seven collections of e5."""

_E5_PROMPTS = {"query": "query: ", "document": "passage: "}


def is_built_in(name: str | Path) -> bool:
    """Whether a model's name is that of a built-in one."""
    return isinstance(name, str) and name.startswith(_PREFIX)


class BuiltIn(NamedTuple):
    """A built-in encoder.

    Attributes:
        name: `E5_SMALL` or `MINILM`.
        chain: Its modules.
        config: Settings of the text model's checkpoint, such as prompts.
    """

    name: str
    chain: Chain
    config: dict[str, Any]


def load_built_in(name: str | None, options: PretrainedOptions) -> BuiltIn:
    """Load a built-in encoder.

    Args:
        name: `E5_SMALL` or `MINILM`; None for the default, `E5_SMALL`, which `MINILM` replaces
            where only that is on the machine.
        options: Settings for finding and loading it.

    Raises:
        MissingExtra: The text model is not on this machine, and the hub was not reached.
        CheckpointError: The files of the text model are not the published ones, or there is no
            built-in encoder of this name.
    """
    if name is None:
        name, folder = _default(options)
    elif name in _FOLDERS:
        folder = _FOLDERS[name](options)
    else:
        raise CheckpointError(
            f"There is no built-in encoder {name!r}; there are: {', '.join(_FOLDERS)}."
        )
    config: dict[str, Any] = read_json(folder / MODEL_CONFIG, default={})
    chain = _with_readers(folder, options, photo_labels=name == E5_SMALL)
    if name == E5_SMALL:
        config.setdefault("prompts", _E5_PROMPTS)  # the original on the hub lacks them
        chain = Chain([*chain, ZeroEmpty()])
    return BuiltIn(name, chain, config)


def _default(options: PretrainedOptions) -> tuple[str, Path]:
    """The name and the folder of the default's text model."""
    offline = replace(options, local_files_only=True)
    try:
        return E5_SMALL, _e5_small(offline)
    except (MissingExtra, CheckpointError) as error:
        fault = error
    with suppress(MissingExtra, CheckpointError):
        folder = find_default_model(offline)
        logger.warning("all-MiniLM-L6-v2 is used, which knows English only. %s", fault)
        return MINILM, folder
    if isinstance(fault, CheckpointError) or options.local_files_only:
        raise fault
    return E5_SMALL, _e5_small(options)


def _e5_small(options: PretrainedOptions) -> Path:
    """The folder of multilingual-e5-small: of the package, in the hub's cache, or from the hub.

    The package has other weights than the hub, in four bits, so that fingerprints differ.
    """
    try:
        return e5_small_folder()
    except MissingExtra as missing:
        try:
            return find_model(E5_ON_HUB.name, options, files=E5_ON_HUB.files)
        except CheckpointError:
            raise missing from None


_FOLDERS: Mapping[str, Callable[[PretrainedOptions], Path]] = {
    E5_SMALL: _e5_small,
    MINILM: find_default_model,
}


def _with_readers(folder: Path, options: PretrainedOptions, *, photo_labels: bool) -> Chain:
    """Load a text model, and put readers of media in front of it."""
    transformer, *rest = Chain.load(folder, options)
    if not isinstance(transformer, Transformer):
        raise CheckpointError(f"{folder} does not begin with a Transformer.")
    router = Router(
        {
            "text": [transformer],
            "image": [ReadImage(options.policy, photo_labels=photo_labels), transformer],
            "audio": [ReadAudio(options.policy), transformer],
            "video": [ReadVideo(options.policy, photo_labels=photo_labels), transformer],
        }
    )
    return Chain([router, *rest])
