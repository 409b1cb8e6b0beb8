"""The way to the Hub, in one commit: nothing but the files that an export wrote, as it wrote them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datagen import __version__, checksums, shards
from datagen.errors import ConfigError, DamagedFile, UserError, reason
from datagen.export import reward_file
from datagen.export.folder import RECORD
from datagen.export.hub.write import TO
from datagen.run.paths import CARD, PROVENANCE

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

# The names of the files of an export, and so of all that ever leaves.
_OURS = re.compile(
    "|".join(re.escape(name) for name in (CARD, PROVENANCE, RECORD, reward_file.NAME))
    + r"|(?:data|questions)/(?:train|validation)-\d{5}-of-\d{5}\.parquet|documents/documents-\d{5}-of-\d{5}\.parquet"
)
_MADE_WITH_A_REPOSITORY = {".gitattributes"}


@dataclass(frozen=True)
class Push:
    """What is pushed where."""

    folder: str
    repository: str  # owner/name
    private: bool
    revision: str  # the branch
    token_env: str | None  # the variable that holds the token; None: as huggingface_hub finds it


@dataclass(frozen=True)
class Pushed:
    """What came of it."""

    url: str
    commit: str
    removed: list[str]  # files of an earlier export that this one does not have


def files(folder: str) -> dict[str, int]:
    """The files of an export with their sizes, `export.json` last. Names that begin with a dot are passed over.

    Raises UserError, naming the file, where the folder is no export for the Hub, lacks a file, or holds one that is
    changed, is a link, or is none of the export's.
    """
    root = Path(folder).expanduser()
    if root.is_symlink():
        raise ConfigError(f"{folder}: it is a link: give the folder that it leads to")
    if not root.is_dir():
        raise ConfigError(f"{folder}: there is no such folder: `{_export(folder)}` makes one")
    if (root / RECORD).is_symlink() or not (root / RECORD).is_file():
        raise UserError(
            f"{folder}: no export for the Hub is there: there is no {RECORD} in it. `{_export()}` makes one"
        )
    try:
        record = shards.read_object(str(root / RECORD)) or {}
    except DamagedFile as e:
        raise UserError(f"{root / RECORD}: it is damaged. {_AGAIN}: `{_export()}`") from e
    listed = record.get("files")
    if record.get("to") != TO or not isinstance(listed, dict):
        raise UserError(f"{folder}: it is an export for {record.get('to')}, not for the Hub. `{_export()}` makes one")
    for name in sorted({*listed, *_there(root)} - {RECORD}):
        if name not in listed:
            raise UserError(f"{root / name}: the export did not write it: move it elsewhere, and push again")
        if not _OURS.fullmatch(name):
            raise UserError(f"{folder}: {RECORD} names {name!r}, which no export writes. {_AGAIN}: `{_export()}`")
        wrong = _wrong(root, name, listed[name])
        if wrong:
            raise UserError(f"{root / name}: {wrong}. {_AGAIN}: `{_export()}`")
    return {name: (root / name).stat().st_size for name in [*sorted(listed), RECORD]}


_AGAIN = "Only what an export wrote is pushed, as it wrote it. Export again, to another folder"


def _export(folder: str = "DIR") -> str:
    return f"longrlvr-data export RUN --to hf -o {shlex.quote(folder)}"


def _there(root: Path) -> Iterator[str]:
    """The files and links of a folder but those in or with a hidden name."""
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if not any(part.startswith(".") for part in name.parts) and (path.is_symlink() or not path.is_dir()):
            yield name.as_posix()


def _wrong(root: Path, name: str, listed: Any) -> str:
    path = root / name
    if path.is_symlink() or any(part.is_symlink() for part in path.parents if part.is_relative_to(root)):
        return "it is a link"
    if not path.is_file():
        return "it is missing"
    same = isinstance(listed, dict) and checksums.digest(path) == listed.get("sha256")
    return "" if same else "it was changed after it was exported"


def check_name(repository: str) -> None:
    """Raises ConfigError for what is no name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
        if repository.count("/") != 1:
            raise ConfigError(f"{repository}: a repository is named with its owner, as in my-name/my-dataset")
    except HFValidationError as e:
        raise ConfigError(f"{repository}: no name of a repository: {reason(e)}") from e


def push(what: Push, sizes: dict[str, int]) -> Pushed:
    """Upload an export in one commit, which also removes what an earlier export has in the repository besides. `sizes`
    is what `files` gave.

    Raises UserError where there is no token, the Hub refuses or cannot be reached, or the
    repository is one that must not be written to: of another visibility, or with files that no export wrote.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(
        endpoint=os.environ.get("HF_ENDPOINT"),
        token=_token(what.token_env),
        library_name="longrlvr-data",
        library_version=__version__,
    )
    with _said(what, api):
        api.whoami()
        there, parent = _repository(api, what)
        removed = sorted(name for name in there if _OURS.fullmatch(name) and name not in sizes)
        root = Path(what.folder).expanduser()
        added = [CommitOperationAdd(name, str(root / name)) for name in sizes]
        commit = api.create_commit(
            what.repository,
            [*added, *(CommitOperationDelete(name) for name in removed)],
            commit_message=f"Dataset by longrlvr-data {__version__}",
            repo_type="dataset",
            revision=what.revision,
            parent_commit=parent,
        )
    return Pushed(f"{api.endpoint}/datasets/{what.repository}", commit.oid, removed)


def _token(variable: str | None) -> str:
    from huggingface_hub import get_token

    token = os.environ.get(variable, "").strip() if variable else get_token()
    if token:
        return token
    if variable:
        raise ConfigError(f"--token-env {variable}: there is no such variable, or it is empty: `export {variable}=…`")
    raise UserError(
        "no token for the Hub: make one that may write at https://huggingface.co/settings/tokens, then `hf auth login`"
        ", or `export HF_TOKEN=…`"
    )


def _repository(api: HfApi, what: Push) -> tuple[list[str], str | None]:
    """The repository's files and last commit on the branch; both are made where they are not there."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.dataset_info(what.repository)
    except RepositoryNotFoundError:
        api.create_repo(what.repository, repo_type="dataset", private=what.private)
        found = api.dataset_info(what.repository)
    if bool(found.private) != what.private:
        now, option = ("private", "--private") if found.private else ("public", "--public")
        raise UserError(
            f"{what.repository} is there and is {now}: nothing was uploaded. Add {option} to push to it as it is, or "
            "give another name"
        )
    if what.revision != "main":
        api.create_branch(what.repository, branch=what.revision, repo_type="dataset", exist_ok=True)
        found = api.dataset_info(what.repository, revision=what.revision)
    there = [file.rfilename for file in found.siblings or []]
    others = {*there} - _MADE_WITH_A_REPOSITORY
    foreign = {name for name in others if not _OURS.fullmatch(name)} or (others if RECORD not in others else set())
    if foreign:
        raise UserError(
            f"{what.repository} is there and holds what no export wrote, such as {min(foreign)}: nothing was uploaded. "
            "Give another name"
        )
    return there, found.sha


@contextmanager
def _said(what: Push, api: HfApi) -> Iterator[None]:
    """What the Hub refuses, and what keeps it from being reached, as sentences."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # Of sockets, and of the HTTP library that huggingface_hub uses: another in each of its major versions.
    failures = (OSError, *[base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)])
    try:
        yield
    except OfflineModeIsEnabled as e:
        raise UserError("HF_HUB_OFFLINE is set: nothing was uploaded. `unset HF_HUB_OFFLINE`, and push again") from e
    except HfHubHTTPError as e:
        raise UserError(_refusal(what, e)) from e
    except failures as e:
        raise UserError(_unreachable(api, e)) from e
    except ValueError as e:  # such as a card that the Hub would not show
        raise UserError(f"{what.repository}: the upload failed: {' '.join(str(e).split())}") from e
    except RuntimeError as e:  # of one file's upload, with what made it fail
        cause = e.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise UserError(_refusal(what, cause)) from e
        if cause and isinstance(cause, failures):
            raise UserError(_unreachable(api, cause)) from e
        raise UserError(f"the upload failed: {reason(e)}. Run the same command again") from e


def _unreachable(api: HfApi, e: BaseException) -> str:
    return (
        f"{api.endpoint} cannot be reached: {reason(e)}. Run the same command again: what is there already is not "
        "uploaded twice"
    )


def _refusal(what: Push, e: HfHubHTTPError) -> str:
    words, source = e.server_message or reason(e), "that was found (`hf auth whoami` tells whose it is)"
    words = words.strip().rstrip(".")
    if what.token_env:
        source = f"in {what.token_env}"
    known = {
        401: f"the Hub does not accept the token {source}: {words}. Make another at "
        "https://huggingface.co/settings/tokens",
        403: f"the token {source} may not write to {what.repository}: {words}. It needs the right to write there: see "
        "https://huggingface.co/settings/tokens",
        404: f"{what.repository}: the Hub does not find it, or does not show it to the token {source}: {words}",
        409: f"{what.repository} was made or changed by somebody else meanwhile: {words}. Push again",
        412: f"{what.repository} was changed by somebody else meanwhile: {words}. Push again",
        429: f"the Hub asks to wait: {words}. Push again later",
    }
    status = e.response.status_code
    said = known.get(status, f"the Hub refused: {words} (status {status}). Push again later")
    return f"{said}; nothing was committed"
