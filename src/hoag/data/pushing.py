"""Uploading a built set to the Hugging Face Hub, with its card; what is there is not sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.catalogue import list_names
from hoag.console import say
from hoag.data.checksums import digests
from hoag.data.hub import LOG_IN, HubRepo, hub_repo, list_files
from hoag.data.parts import RemoteFile, amount
from hoag.data.patience import Patience
from hoag.data.uploads import uploading
from hoag.errors import HoagError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# The files of a built set. Its Arrow copies are made again from the shards where they are used.
PARTS = (
    "README.md", "dataset.toml", "build.json", "*.parquet", "data/*.parquet", "labels/*.parquet",
)  # fmt: skip


@dataclass(frozen=True)
class _Plan:
    """What an upload sends, what it leaves as it is, and what it takes away there."""

    send: tuple[str, ...]
    same: tuple[str, ...]
    delete: tuple[str, ...]


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
    message: str | None = None,
    patience: Patience | None = None,
) -> str:
    """Upload a set made by `hoag data build` to the Hub.

    Files that are there with the same content are not sent again, so an upload that was interrupted
    goes on when it is repeated; shards there that the set no longer has are taken away. All becomes
    visible at once, in one commit.

    Parameters
    ----------
    folder
        The built set.
    repo_id
        Data set on the Hub, "user/name"; made if it does not exist.
    private
        Whether only you may see it. A data set that is public already is refused then.
    endpoint
        Another Hub (also HF_ENDPOINT).
    token
        Token that may write (else that of `hf auth login` or HF_TOKEN).
    message
        What the commit says.
    patience
        How often the Hub is asked again.

    Returns
    -------
    str
        Address of the data set.

    Raises
    ------
    HoagError
        If the folder is no built set, or the Hub refuses: what is wrong and what to do.
    """
    folder, patience = Path(folder).expanduser(), patience or Patience()
    paths = _parts(folder)
    place = hub_repo(repo_id, endpoint=endpoint, token=token)
    if place.token is None:
        raise HoagError(f"{repo_id}: to upload, {LOG_IN} (a token that may write)")
    place.ask(lambda api: _create(api, repo_id, private), patience)
    listing = list_files(place, patience)
    if private and not listing.private:
        raise HoagError(
            f"{repo_id}: is there already and is public; choose another name, or say that the set "
            "may be public"
        )
    plan = _compare(folder, paths, listing.files)
    size = sum((folder / path).stat().st_size for path in plan.send)
    say(
        f"{folder}: {len(plan.send)} files, {amount(size)}, to send to {place.page}; "
        f"{len(plan.same)} are there already"
    )
    if plan.delete:
        say(f"  taken away there: {list_names(plan.delete)}")
    if plan.send or plan.delete:
        _commit(place, folder, plan, message or f"Upload {folder.resolve().name} with hoag")
    return place.page


def _parts(folder: Path) -> list[str]:
    """Give the files of a built set, relative to it."""
    if not (folder / "build.json").is_file():
        raise HoagError(f"{folder}: no build.json, so not a built set; make one: hoag data build")
    if not (folder / "README.md").is_file():
        raise HoagError(f"{folder}: no README.md, the card of the set; build it again")
    found = {path for pattern in PARTS for path in folder.glob(pattern) if path.is_file()}
    names = sorted(path.relative_to(folder).as_posix() for path in found if path.name[0] != ".")
    if not any(name.startswith("data/") for name in names):
        raise HoagError(f"{folder}: no data/*.parquet, so nothing to share; build it again")
    return names


def _create(api: HfApi, repo_id: str, private: bool) -> None:
    api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)


def _compare(folder: Path, paths: Sequence[str], there: Sequence[RemoteFile]) -> _Plan:
    """Compare a folder with what the Hub has, by size and checksum."""
    remote = {file.path: file for file in there}
    same = tuple(path for path in paths if path in remote and _is_same(folder, remote[path]))
    ours = [path for path in remote if any(_matches(path, pattern) for pattern in PARTS)]
    return _Plan(
        send=tuple(path for path in paths if path not in same),
        same=same,
        delete=tuple(path for path in ours if path not in paths),
    )


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def _is_same(folder: Path, remote: RemoteFile) -> bool:
    path = folder / remote.path
    kind, _, wanted = remote.checksum.partition(":")
    if not wanted or path.stat().st_size != remote.size:
        return False
    return digests(path, kind)[kind] == wanted


def _commit(place: HubRepo, folder: Path, plan: _Plan, message: str) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    steps: list[Any] = [
        CommitOperationAdd(path_in_repo=path, path_or_fileobj=folder / path) for path in plan.send
    ]
    steps += [CommitOperationDelete(path_in_repo=path, is_folder=False) for path in plan.delete]
    with uploading(place, folder, "repeat the command"):
        place.api().create_commit(place.repo, steps, commit_message=message, repo_type="dataset")
