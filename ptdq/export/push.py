"""An export on the model hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptdq.errors import RunFailed, UserError, line_of


def check_push(repository: str) -> str:
    """The token to push with; before anything is written.

    Args:
        repository: ``owner/name``.

    Raises:
        UserError: it is no such name, there is no token, or the hub is switched off.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        if repository.count("/") != 1:
            raise UserError(f"push_to '{repository}': expected owner/name")
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"push_to '{repository}': {line_of(error)}") from error
    if constants.HF_HUB_OFFLINE:
        raise UserError(f"push_to {repository}: the model hub is switched off (unset HF_HUB_OFFLINE)")
    token = get_token()
    if token is None:
        raise UserError(
            f"push_to {repository}: no token of the model hub; log in (hf auth login), or set HF_TOKEN "
            "to a token that may write"
        )
    return token


def push(directory: Path, repository: str, token: str, endpoint: str | None = None) -> str:
    """Copy an export to the hub; a repository that is not there is made, private.

    Args:
        directory: of the export.
        repository: ``owner/name``.
        token: that may write there.
        endpoint: of the hub; by default that of the hub's library (``HF_ENDPOINT``).

    Returns:
        Address of the commit.

    Raises:
        UserError: the hub refuses it: the token may not write there, or is none.
        RunFailed: the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with _in_words(directory, repository):
        api = HfApi(endpoint=endpoint, token=token)
        api.create_repo(repository, private=True, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=directory,
            commit_message="Artifact, loader and model card, written by ptdq export",
        )
    return str(done.commit_url)


@contextmanager
def _in_words(directory: Path, repository: str) -> Iterator[None]:
    """Errors of the hub in one line; the export itself is whole."""
    from huggingface_hub.errors import HfHubHTTPError

    whole = f"the export itself is whole: {directory}"
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise UserError(
                f"push_to {repository}: the hub refuses the token (status {status}); take one that may "
                f"write there; {whole}"
            ) from error
        raise RunFailed(f"push_to {repository}: {line_of(error)}; {whole}") from error
    except (OSError, ValueError) as error:
        raise RunFailed(f"push_to {repository}: {line_of(error)}; {whole}") from error
    except Exception as error:
        # The library passes on what its HTTP client raises.
        if not type(error).__module__.startswith(("httpx", "httpcore")):
            raise
        raise RunFailed(
            f"push_to {repository}: the model hub cannot be reached ({line_of(error)}); {whole}"
        ) from error
