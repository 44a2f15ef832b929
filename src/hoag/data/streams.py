"""A server's answer as a stream of bytes: redirects within bounds, ranges, faults told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from hoag._version import __version__
from hoag.data.patience import PASSING, PassingFault, Patience, asked_to_wait
from hoag.errors import HoagError

if TYPE_CHECKING:
    import httpx2

HOPS = 5  # redirects in a row
MOVED = (301, 302, 303, 307, 308)


class Refused(HoagError):
    """A server's answer that asking again will not change."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Stream:
    """An answer: from which byte on, of how many (None: not said), and what identifies them.

    `validator` is the ETag or the date of the content, "" if the server gave none that is exact.
    """

    start: int
    total: int | None
    validator: str
    chunks: Iterator[bytes]


def client(patience: Patience) -> httpx2.Client:
    """Make the client that downloads share. It takes bytes as they are stored, never unpacked."""
    import httpx2

    return httpx2.Client(
        timeout=patience.timeout,
        headers={"user-agent": f"hoag/{__version__}", "accept-encoding": "identity"},
    )


@contextmanager
def open_stream(
    web: httpx2.Client,
    url: str,
    *,
    start: int = 0,
    validator: str = "",
    hosts: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Iterator[Stream]:
    """Ask for a file from a byte on.

    Parameters
    ----------
    web
        The client.
    url
        Address of the file.
    start
        Bytes that are there already.
    validator
        What they belong to; the server sends all if the file is another now (If-Range).
    hosts
        Hosts other than that of `url` that a redirect may lead to.
    headers
        Sent to the host of `url` only.

    Raises
    ------
    PassingFault
        If asking again may help, here or while the stream is read.
    Refused
        If the server says no.
    HoagError
        If a redirect leads to a place that is not allowed, or in a circle.
    """
    import httpx2

    ranged = {"range": f"bytes={start}-"} if start else {}
    if start and validator:
        ranged["if-range"] = validator
    place = url
    for _ in range(HOPS + 1):
        own = dict(headers or {}) if _origin(place) == _origin(url) else {}
        try:
            with web.stream("GET", place, headers=own | ranged) as answer:
                if answer.status_code not in MOVED:
                    yield _read(answer, url, start)
                    return
                place = _next_place(url, place, answer.headers.get("location", ""), hosts)
        except httpx2.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise HoagError(
                    f"{plain(place)}: its certificate is not valid; something between may be "
                    "listening, so nothing is fetched"
                ) from None
            raise PassingFault(_fault(error, place)) from None
        except httpx2.InvalidURL:
            raise HoagError(f"{plain(place)}: not a web address") from None
    raise HoagError(f"{plain(url)}: redirects {HOPS} times and more, perhaps in a circle; refused")


def plain(url: str) -> str:
    """Give an address without its query, which may hold a signature or a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def allowed(host: str, hosts: Sequence[str]) -> bool:
    """Tell whether a host is one of those named; "*.hf.co" stands for all below hf.co."""
    return any(fnmatch(host.lower(), pattern.lower()) for pattern in hosts)


def _next_place(url: str, place: str, location: str, hosts: Sequence[str]) -> str:
    try:
        place = urljoin(place, location)
        here, there = urlsplit(url), urlsplit(place)
    except ValueError:
        raise HoagError(f"{plain(url)}: redirects to {location!r}, no web address") from None
    if there.scheme != "https" and here.scheme == "https":
        raise HoagError(f"{plain(url)}: redirects to {plain(place)}, which is not https; refused")
    if there.netloc != here.netloc and not allowed(there.hostname or "", hosts):
        raise HoagError(
            f"{plain(url)}: redirects to another host, {there.netloc or repr(location)}, which the "
            "registry does not name; refused"
        )
    return place


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _read(answer: httpx2.Response, url: str, start: int) -> Stream:
    status, headers = answer.status_code, answer.headers
    if status in PASSING:
        raise PassingFault(f"the server answers {status}", asked_to_wait(headers))
    if status == 416:  # what is there already is as long as the file, or longer
        total = _total(headers.get("content-range", ""))
        if total != start:
            raise PassingFault("there is no more to send, but the size is wrong", anew=True)
        return Stream(start, total, "", iter(()))
    if status not in (200, 206):
        answer.read()
        raise Refused(_refusal(url, status), status, headers.get("x-error-code", ""))
    if status == 206:
        content_range = headers.get("content-range", "")
        if not content_range.startswith(f"bytes {start}-"):
            raise PassingFault("the server sent other bytes than were asked for", anew=True)
        return Stream(start, _total(content_range), _validator(headers), answer.iter_raw())
    return Stream(
        0, _number(headers.get("content-length", "")), _validator(headers), answer.iter_raw()
    )


def _total(content_range: str) -> int | None:
    return _number(content_range.rpartition("/")[2])


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _validator(headers: Mapping[str, str]) -> str:
    """Give the strong ETag, else the date; a weak ETag (W/) does not promise the same bytes."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else headers.get("last-modified", "")


def _fault(error: httpx2.TransportError, place: str) -> str:
    import httpx2

    host = urlsplit(place).netloc
    if isinstance(error, httpx2.ConnectError):
        return f"{host} cannot be reached"
    if isinstance(error, httpx2.TimeoutException):
        return f"{host} did not answer in time"
    return f"the connection to {host} broke off"


def _refusal(url: str, status: int) -> str:
    if status in (401, 403):
        return f"{plain(url)}: not given to everybody (status {status}); its page may say why"
    if status in (404, 410):
        return (
            f"{plain(url)}: not there (status {status}); it may have moved, so look at the page of "
            "the data set"
        )
    return f"{plain(url)}: the server answers with status {status}; try again later"
