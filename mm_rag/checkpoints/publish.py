"""Upload models to the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from mm_rag.errors import CheckpointError


class PushOptions(TypedDict, total=False):
    """How a model is uploaded; the names are those of sentence-transformers.

    Attributes:
        token: An access token; by default the one that `hf auth login` saved.
        private: Whether a new repository is visible to its owner only.
        exist_ok: Allow the repository to exist already.
        revision: The branch to write to, created if it does not exist.
        commit_message: The message of the commit.
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
        CheckpointError: The hub was not reached, or refuses the upload.
    """
    api = HfApi(token=token)
    with TemporaryDirectory() as folder:
        save(Path(folder))
        try:
            repository = api.create_repo(repo_id, private=private, exist_ok=exist_ok or create_pr)
            if revision is not None:
                api.create_branch(repository.repo_id, branch=revision, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository.repo_id,
                folder_path=folder,
                commit_message=commit_message or "Add a model that mm_rag wrote",
                revision=revision,
                create_pr=create_pr,
            )
        except HFValidationError as error:
            raise CheckpointError(
                f"{repo_id!r} is not the name of a repository: {error}"
            ) from error
        except (HfHubHTTPError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
            raise CheckpointError(
                f"The model could not be uploaded to {repo_id}: {error}. Is the hub reached, and "
                "may the token write there?"
            ) from error
    return commit.pr_url if create_pr and commit.pr_url else commit.commit_url
