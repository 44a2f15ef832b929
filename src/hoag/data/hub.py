"""The Hugging Face Hub: which files a data set there has, and its refusals in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

from hoag._version import __version__
from hoag.data.parts import RemoteFile
from hoag.data.patience import PASSING, GaveUp, PassingFault, Patience, asked_to_wait, patiently
from hoag.data.streams import Refused
from hoag.errors import HoagError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo, RepoSibling

T = TypeVar("T")

HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True)
class HubRepo:
    """A data set on the Hub, as it is asked for.

    Attributes
    ----------
    repo
        Its id, "user/name".
    endpoint
        Address of the Hub, without a slash at the end.
    token
        Who asks; None for anybody.
    revision
        Branch, tag or commit; None for the newest.
    """

    repo: str
    endpoint: str
    token: str | None = field(default=None, repr=False)
    revision: str | None = None

    @property
    def page(self) -> str:
        """Where people look at it."""
        return f"{self.endpoint}/datasets/{self.repo}"

    def api(self) -> HfApi:
        """Give huggingface_hub's client for it."""
        from huggingface_hub import HfApi

        return HfApi(
            endpoint=self.endpoint, token=self.token or False, library_name="hoag",
            library_version=__version__,
        )  # fmt: skip

    def ask(self, call: Callable[[HfApi], T], patience: Patience) -> T:
        """Ask the Hub something, again if that may help.

        Raises
        ------
        HoagError
            What it refused or why it cannot be reached, and what to do.
        """
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

        def once() -> T:
            try:
                return call(self.api())
            except OfflineModeIsEnabled:
                raise GaveUp(
                    f"{self.repo}: HF_HUB_OFFLINE is set, so the Hub is not asked; unset it to "
                    "download or upload"
                ) from None
            except HFValidationError:
                raise HoagError(f"{self.repo}: not an id of the Hub; write user/name") from None
            except HfHubHTTPError as error:
                status, headers = error.response.status_code, error.response.headers
                if status in PASSING:
                    raise PassingFault(
                        f"the Hub answers {status}", asked_to_wait(headers)
                    ) from None
                raise self.refused(status, headers.get("x-error-code", "")) from None
            except httpx2.TransportError:
                raise PassingFault(f"{urlsplit(self.endpoint).netloc} cannot be reached") from None
            except (ValueError, KeyError):  # what a login page in between says, for one
                raise HoagError(
                    f"{self.repo}: {self.endpoint} does not answer as a Hub does; check the "
                    "address, and whether the network asks for a login"
                ) from None

        with only_what_is_asked():
            return patiently(once, patience, self.repo)

    def refused(self, status: int, code: str) -> Refused:
        """Say what the Hub means by a status and its X-Error-Code, and what to do."""
        return Refused(f"{self.repo}: {self._reason(status, code)}", status, code)

    def _reason(self, status: int, code: str) -> str:
        new_token = f"make one at {self.endpoint}/settings/tokens and {LOG_IN}"
        if code == "GatedRepo":
            return f"is gated; ask for access at {self.page}" + (
                "" if self.token else f", then {LOG_IN}"
            )
        if code == "RevisionNotFound":
            return (
                f"no revision '{self.revision}'; leave it out for the newest, or take one of "
                f"{self.page}/commits/main"
            )
        if code == "EntryNotFound":
            return "a file is gone from it; repeat the command"
        if code == "RepoNotFound" or status == 404 or (status == 401 and not self.token):
            do = "check that your account may see it" if self.token else LOG_IN
            return f"not on {self.endpoint}, or private; check the name, and if it is private {do}"
        if status == 401:
            return f"the token is not accepted; {new_token}"
        if status == 403:
            return f"the token does not allow this; {new_token}"
        return f"the Hub refuses with status {status}; see {self.page}"


@dataclass(frozen=True)
class Listing:
    """What a data set on the Hub has at one commit."""

    commit: str
    licence: str
    private: bool
    files: tuple[RemoteFile, ...]


def hub_repo(
    repo: str, *, endpoint: str | None, token: str | None, revision: str | None = None
) -> HubRepo:
    """Make a HubRepo, with the Hub and the token of huggingface_hub where none are given.

    Raises
    ------
    HoagError
        If the id is not one.
    """
    from huggingface_hub import constants, get_token

    if not HUB_ID.fullmatch(repo):
        raise HoagError(f"{repo}: not an id of the Hub; write user/name")
    where = (endpoint or constants.ENDPOINT).rstrip("/")
    implicit = not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN
    own = get_token() if token is None and implicit else None
    return HubRepo(repo, where, token or own, revision)


def list_files(place: HubRepo, patience: Patience, hosts: tuple[str, ...] = ()) -> Listing:
    """Ask which files a data set has, with their sizes and checksums.

    Raises
    ------
    HoagError
        As `HubRepo.ask`.
    """

    def info(api: HfApi) -> DatasetInfo:
        return api.dataset_info(
            place.repo, revision=place.revision, files_metadata=True, timeout=patience.timeout
        )

    found = place.ask(info, patience)
    files = [_remote(place, str(found.sha), one, hosts) for one in found.siblings or []]
    files = [file for file in files if file.path != ".gitattributes"]
    files.sort(key=lambda file: file.path)
    licence = getattr(found.card_data, "license", None) or ""
    return Listing(
        str(found.sha), licence if isinstance(licence, str) else ", ".join(map(str, licence)),
        bool(found.private), tuple(files),
    )  # fmt: skip


def _remote(
    place: HubRepo, commit: str, sibling: RepoSibling, hosts: tuple[str, ...]
) -> RemoteFile:
    if sibling.lfs is not None:
        checksum = f"sha256:{sibling.lfs.sha256}"
    else:
        checksum = f"git:{sibling.blob_id}" if sibling.blob_id else ""
    return RemoteFile(
        url=f"{place.page}/resolve/{commit}/{quote(sibling.rfilename)}",
        path=sibling.rfilename, size=sibling.size, checksum=checksum, hosts=hosts,
        headers={"authorization": f"Bearer {place.token}"} if place.token else {},
    )  # fmt: skip


@contextmanager
def only_what_is_asked() -> Iterator[None]:
    """Keep huggingface_hub to the address it is given.

    Without this it would hand large files to Xet, which talks to hosts of its own, and ask the
    public Hub how to describe this machine. Its settings are read from the environment once, at its
    import, so they are set where it looks.
    """
    from huggingface_hub import constants

    names = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")
    before = {name: getattr(constants, name) for name in names}
    try:
        for name in names:
            setattr(constants, name, True)
        yield
    finally:
        for name, value in before.items():
            setattr(constants, name, value)
