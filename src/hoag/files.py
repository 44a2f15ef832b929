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
        if not new.is_dir():
            raise HoagError(f"{path}: is a folder, which no file replaces; choose another place")
        os.replace(path, holder / ".old")
    os.replace(new, path)


def check_place(out: str | Path, *inputs: str | Path | None, folder: bool = False) -> Path:
    """Refuse, before the work, a place where an output cannot go or should not.

    Parameters
    ----------
    out
        The file or folder to write.
    inputs
        What is read, which is never overwritten.
    folder
        Whether a folder is written, else a file.

    Raises
    ------
    HoagError
        If `out` is one of the inputs, a folder where a file is written or the other way round, or
        below something that is no folder or may not be written to.
    """
    path = Path(out)
    for given in inputs:
        if given is not None and path.resolve() == Path(given).resolve():
            raise HoagError(f"{out}: is what is read, and would be overwritten; choose another OUT")
    if path.exists() and path.is_dir() != folder:
        wanted = "name a folder, new or there already" if folder else "name a file"
        raise HoagError(f"{out}: is a {'file' if folder else 'folder'}; {wanted}")
    places = [path, *path.absolute().parents] if folder else path.absolute().parents
    above = next(place for place in places if place.exists())
    if not above.is_dir():
        raise HoagError(f"{out}: cannot be written, since {above} is no folder; choose another OUT")
    if not os.access(above, os.W_OK):
        raise HoagError(f"{out}: you may not write to {above}; choose another OUT")
    return path


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
