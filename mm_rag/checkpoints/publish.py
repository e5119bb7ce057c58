"""Uploading models to the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import httpx
from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from mm_rag.errors import CheckpointError


class PushOptions(TypedDict, total=False):
    """How a model is uploaded; the names are those of sentence-transformers.

    Attributes:
        token: An access token; by default the one that `hf auth login` saved.
        private: Whether only its owner sees a repository that is made.
        exist_ok: Write to a repository that there is already.
        revision: The branch to write to, made where it is missing.
        commit_message: What the commit says.
        create_pr: Open a pull request instead of writing to the branch.
    """

    token: str | None
    private: bool | None
    exist_ok: bool
    revision: str | None
    commit_message: str | None
    create_pr: bool


def push_to_hub(
    save: Callable[[Path], None],
    repo_id: str,
    *,
    token: str | None = None,
    private: bool | None = None,
    exist_ok: bool = False,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
) -> str:
    """Upload what `save` writes; described at `Encoder.push_to_hub`.

    Raises:
        CheckpointError: The hub was not reached, or refuses it.
    """
    with TemporaryDirectory() as folder:
        save(Path(folder))
        commit = _upload(
            Path(folder),
            repo_id,
            token=token,
            private=private,
            exist_ok=exist_ok or create_pr,
            revision=revision,
            commit_message=commit_message or "Add a model that mm_rag wrote",
            create_pr=create_pr,
        )
    return commit.pr_url if create_pr and commit.pr_url else commit.commit_url


def _upload(
    folder: Path,
    repo_id: str,
    *,
    token: str | None,
    private: bool | None,
    exist_ok: bool,
    revision: str | None,
    commit_message: str,
    create_pr: bool,
) -> CommitInfo:
    api = HfApi(token=token)
    try:
        made = api.create_repo(repo_id, private=private, exist_ok=exist_ok)
        if revision is not None:
            api.create_branch(made.repo_id, branch=revision, exist_ok=True)
        return api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
        )
    except HFValidationError as error:
        raise CheckpointError(f"{repo_id!r} is no name of a repository: {error}") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        raise CheckpointError(
            f"The model could not be uploaded to {repo_id}: {error}. Is the hub reached, and may "
            "the token write there?"
        ) from error
