"""Tables of TOML files read key by key, with complaints that name the file and the table."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoag.errors import HoagError


@dataclass(frozen=True)
class Entry:
    """One table of a TOML file, read key by key with complaints that name it."""

    content: dict[str, Any]
    where: str

    def only(self, *known: str) -> None:
        """Refuse keys that are not known."""
        for key in self.content:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"keys are {', '.join(known)}"
                raise HoagError(f"{self.where}: unknown key '{key}'; {hint}")

    def entries(self, key: str) -> list[Entry]:
        """Give the tables written as ``[[key]]``."""
        found = self.content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise HoagError(f"{self.where}: '{key}' is written as [[{key}]], one for each")
        return [Entry(item, f"{self.where}, [[{key}]] {n}") for n, item in enumerate(found, 1)]

    def _get(self, key: str, kind: type, word: str, default: Any = None) -> Any:
        value = self.content.get(key, default)
        if value is None:
            raise HoagError(f"{self.where}: '{key}' is missing")
        if not isinstance(value, kind):
            raise HoagError(f"{self.where}: '{key}' must be {word}, not {value!r}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Give a text."""
        return str(self._get(key, str, "text", default))

    def truth(self, key: str, default: bool) -> bool:
        """Give true or false."""
        return bool(self._get(key, bool, "true or false", default))

    def count(self, key: str) -> int:
        """Give a whole number from 0."""
        value = self._get(key, int, "a whole number, 0 or more", 0)
        if isinstance(value, bool) or value < 0:
            raise HoagError(
                f"{self.where}: '{key}' must be a whole number, 0 or more, not {value!r}"
            )
        return int(value)

    def number(self, key: str) -> float:
        """Give a number."""
        value = self._get(key, int | float, "a number")  # type: ignore[arg-type]
        if isinstance(value, bool):
            raise HoagError(f"{self.where}: '{key}' must be a number, not {value!r}")
        return float(value)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Give one of several texts."""
        value = self.text(key, default)
        if value not in choices:
            options = ", ".join(repr(choice) for choice in choices if choice)
            raise HoagError(f"{self.where}: '{key}' is {value!r}; it can be {options}")
        return value

    def classes(self, key: str) -> tuple[str | int, ...]:
        """Give different labels, texts or whole numbers."""
        values = self._get(key, list, "a list of labels", [])
        if not all(isinstance(v, str | int) for v in values) or len(set(values)) < len(values):
            raise HoagError(f"{self.where}: '{key}' must be different texts or whole numbers")
        return tuple(values)

    def names(self, key: str, default: str) -> list[str]:
        """Give a list of names; one may stand by itself."""
        value = self._get(key, str | list, "a name, or a list of them", default)  # type: ignore[arg-type]
        names = [value] if isinstance(value, str) else value
        if not names or not all(isinstance(name, str) for name in names):
            raise HoagError(f"{self.where}: '{key}' must be a name, or a list of them")
        return list(names)

    def paths(self, key: str, folder: Path) -> tuple[Path, ...]:
        """Give the tables that one name or several stand for, in a folder."""
        value = self._get(key, str | list, "the name of a table, or a list of them")  # type: ignore[arg-type]
        names = [value] if isinstance(value, str) else value
        if not names or not all(isinstance(name, str) for name in names):
            raise HoagError(f"{self.where}: '{key}' must name one table or more")
        found = [path for name in names for path in self._tables(key, name, folder)]
        return tuple(dict.fromkeys(found))

    def _tables(self, key: str, name: str, folder: Path) -> list[Path]:
        """Give the table of a name, or those that match it if it has a * (shards)."""
        matching = sorted(folder.glob(name)) if "*" in name else [folder / name]
        if not matching or not matching[0].exists():
            raise HoagError(f"{self.where}: '{key}': no table '{name}' in {folder}")
        return matching
