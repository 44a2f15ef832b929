"""Outputs are written whole or not at all: beside their place first, then moved into it."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hoag.errors import HoagError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder that becomes `path` if the block succeeds.

    Works for files and for folders (create the given path as either); an existing file or folder
    at `path` is replaced. If the block raises, nothing is left behind and `path` is untouched. The
    temporary name keeps the suffix of `path`, because many writers choose a format by it.

    Raises
    ------
    HoagError
        If the folder cannot be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise HoagError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from None
    try:
        yield holder / path.name
        _swap_in(holder / path.name, path, holder)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise HoagError(
            f"{path}: writing failed ({error.strerror}); nothing was changed"
        ) from error
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _swap_in(new: Path, path: Path, holder: Path) -> None:
    # os.replace is atomic for files but refuses to replace a folder that has something in it.
    if path.is_dir() and not path.is_symlink():
        os.replace(path, holder / ".old")
    os.replace(new, path)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all; NaN is refused."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    HoagError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise HoagError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise HoagError(f"{path}: not valid JSON ({error})") from None
