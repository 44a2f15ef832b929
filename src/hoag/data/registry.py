"""Data sets by name: where they lie, under which licence, whom to cite (registry.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from hoag.data.streams import plain
from hoag.errors import HoagError
from hoag.toml_entries import Entry

HUB_SITE = "https://huggingface.co"


@dataclass(frozen=True)
class CatalogueFile:
    """One file by URL, with a checksum ("md5:..." or "sha256:...") or none."""

    url: str
    checksum: str = ""

    @property
    def name(self) -> str:
        """Name of the file, the last part of its URL."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


@dataclass(frozen=True)
class DataSet:
    """A data set that can be fetched.

    Attributes
    ----------
    name, title
        What it is called, here and in one line.
    hub
        Its id on the Hugging Face Hub, or "" for files by URL.
    files
        Patterns of the files on the Hub that are fetched; all if there are none.
    urls
        Files by URL.
    opens
        Folder in it that `hoag.open` takes, "" for itself.
    licence, cite, page
        As published; "" or empty where not known.
    hosts
        Hosts, beyond its own, that a redirect may lead to; "*.hf.co" stands for all below hf.co.
    unconfirmed
        What could not be established about it.
    """

    name: str
    title: str = ""
    hub: str = ""
    files: tuple[str, ...] = ()
    urls: tuple[CatalogueFile, ...] = ()
    opens: str = ""
    licence: str = ""
    cite: tuple[str, ...] = ()
    page: str = ""
    hosts: tuple[str, ...] = ()
    unconfirmed: str = ""

    @property
    def source(self) -> str:
        """The page that describes it, else its address."""
        if self.hub:
            return f"{HUB_SITE}/datasets/{self.hub}"
        return self.page or plain(self.urls[0].url)


def list_sets() -> list[DataSet]:
    """Give the named data sets, in the order of registry.toml."""
    return list(_registry()[0].values())


def find_set(name: str) -> DataSet | None:
    """Give the data set of a name, None if there is none."""
    return _registry()[0].get(name)


def hub_hosts() -> tuple[str, ...]:
    """Hosts that the Hub may send a download to."""
    return _registry()[1]


@cache
def _registry() -> tuple[dict[str, DataSet], tuple[str, ...]]:
    text = (files("hoag.data") / "registry.toml").read_text(encoding="utf-8")
    return parse_registry(text, "registry.toml")


def parse_registry(text: str, where: str) -> tuple[dict[str, DataSet], tuple[str, ...]]:
    """Read a registry: the sets by name, and the hosts of the Hub.

    Raises
    ------
    HoagError
        If it is not TOML, a key is unknown or missing, a name is there twice, or a URL is not
        https.
    """
    try:
        top = Entry(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise HoagError(f"{where}: not valid TOML ({error})") from None
    top.only("hub", "set")
    hosts = _texts(Entry(top.content.get("hub", {}), f"{where}, [hub]"), "hosts")
    sets: dict[str, DataSet] = {}
    for entry in top.entries("set"):
        found = _read_set(entry, hosts)
        if found.name in sets:
            raise HoagError(f"{entry.where}: '{found.name}' is there twice; rename one")
        sets[found.name] = found
    return sets, hosts


def _read_set(entry: Entry, hub_hosts: tuple[str, ...]) -> DataSet:
    entry.only(
        "name", "title", "hub", "files", "file", "opens", "licence", "cite", "page", "hosts",
        "unconfirmed",
    )  # fmt: skip
    hub = entry.text("hub", "")
    urls = tuple(_read_file(one) for one in entry.entries("file"))
    if bool(hub) == bool(urls):
        raise HoagError(f"{entry.where}: needs either 'hub' or [[set.file]]")
    return DataSet(
        name=entry.text("name"), title=entry.text("title"), hub=hub,
        files=_texts(entry, "files"), urls=urls, opens=entry.text("opens", ""),
        licence=entry.text("licence", ""), cite=_texts(entry, "cite"), page=entry.text("page", ""),
        hosts=_texts(entry, "hosts") + (hub_hosts if hub else ()),
        unconfirmed=entry.text("unconfirmed", ""),
    )  # fmt: skip


def _read_file(entry: Entry) -> CatalogueFile:
    entry.only("url", "md5", "sha256")
    url = entry.text("url")
    if not url.startswith("https://"):
        raise HoagError(f"{entry.where}: 'url' must begin with https://, not {url!r}")
    known = [(kind, entry.text(kind, "")) for kind in ("sha256", "md5")]
    return CatalogueFile(url, next((f"{kind}:{text}" for kind, text in known if text), ""))


def _texts(entry: Entry, key: str) -> tuple[str, ...]:
    return tuple(entry.names(key, "")) if key in entry.content else ()
