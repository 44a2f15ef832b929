"""Images for a catalogue of positions: cutouts of a survey, fetched, kept and listed."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from hoag.catalogue import SUFFIXES, list_names, read_table, write_table
from hoag.console import progress, say
from hoag.data.cutout_positions import (
    RADII,
    SHOWN,
    Positions,
    default_server,
    get_survey,
    read_positions,
)
from hoag.data.cutout_requests import Asked, NotFetched, Service
from hoag.errors import HoagError
from hoag.files import read_json, write_json, written_whole

SETTINGS, IMAGES, FAILED = "cutouts.json", "images", "failed/failed.csv"
FORMATS = {"jpeg": ("jpg", ".jpg"), "fits": ("fits", ".fits")}
_GIVE_UP = 50  # requests that fail one after the other: the server is down, or everything is wrong
_BLANK = "outside the survey"


def cutouts(
    catalogue: str | Path,
    out: str | Path,
    *,
    survey: str,
    form: str = "jpeg",
    pixels: int = SHOWN,
    size_arcsec: float | None = None,
    radius: str | None = None,
    radii: float = RADII,
    ra: str | None = None,
    dec: str | None = None,
    id_column: str | None = None,
    hips: str | None = None,
    server: str | None = None,
    per_second: float = 4.0,
    connections: int = 4,
    retries: int = 5,
    timeout: float = 60.0,
) -> Path:
    """Fetch the image of every galaxy of a catalogue from the CDS's HiPS cutout service.

    Writes ``images/ID.jpg`` (or .fits, with an extension for each band), a catalogue with the
    user's columns and `file_loc` and `cutout_arcsec` for the galaxies that were had, and
    ``failed/failed.csv`` (row, id_str, reason) for the others. Images already there are not fetched
    again, so a run that was stopped goes on when it is repeated.

    Parameters
    ----------
    catalogue
        Table with ids, and right ascensions and declinations in degrees (ICRS).
    out
        Folder to write.
    survey
        "legacy", "sdss", "panstarrs", "hsc", "hst" or "euclid".
    form
        "jpeg", the survey's colour picture, or "fits", its bands.
    pixels
        Side of the images.
    size_arcsec
        Side of the images on the sky, one for all.
    radius
        Column with radii in arcsec (or the unit that a FITS or VOTable column states); the image
        shows `radii` of them. Without it and `size_arcsec`, the rule by which Galaxy Zoo made its
        images, from the usual columns.
    radii
        Side of an image in radii; by default Galaxy Zoo 2's, 0.02 x 424 R90.
    ra, dec, id_column
        Names of columns; None finds the usual ones.
    hips
        Another HiPS than the survey's.
    server
        Another hips2fits service than the CDS's.
    per_second, connections, retries, timeout
        Requests a second, at once, repeated on failure, and seconds to wait for an answer.

    Returns
    -------
    path
        The catalogue written, which `hoag.open` and a build read.

    Raises
    ------
    HoagError
        If the catalogue cannot be used, `out` holds other cutouts, nothing could be fetched, or
        the server fails 50 times in a row. Rows alone that fail raise nothing.
    """
    _check(form, pixels, per_second, connections, retries, timeout)
    catalogue, out, chosen = Path(catalogue), Path(out), get_survey(survey)
    positions = read_positions(
        catalogue, chosen, size_arcsec=size_arcsec, radius=radius, radii=radii, ra=ra, dec=dec,
        id_column=id_column,
    )  # fmt: skip
    code, suffix = FORMATS[form]
    wanted = {"": hips or chosen.colour} if code == "jpg" else chosen.bands
    if hips and code == "fits":
        wanted = {"": hips}
    asks = {"survey": survey, "form": form, "hips": wanted, "pixels": pixels,
            "size_arcsec": size_arcsec, "radius": radius,
            "radii": radii if radius else None}  # fmt: skip
    _same_settings(out / SETTINGS, asks)
    service = Service(server or default_server(), wanted, code, pixels, per_second=per_second,
                      retries=retries, timeout=timeout)  # fmt: skip
    failed = _fetch_all(positions, out, suffix, service, connections)
    return _write_catalogue(catalogue, out, suffix, positions, failed)


def _check(
    form: str, pixels: int, per_second: float, connections: int, retries: int, timeout: float
) -> None:
    if form not in FORMATS:
        raise HoagError(f"cutouts are fetched as {list_names(list(FORMATS))}, not '{form}'")
    if not 1 < pixels <= 4096:
        raise HoagError(f"cutouts have 2 to 4096 pixels a side, not {pixels}")
    if not 0 < per_second <= 50 or not 1 <= connections <= 16 or retries < 0 or not timeout > 0:
        raise HoagError(
            "a server is asked at most 50 times a second over 1 to 16 connections, with 0 retries "
            "or more and a timeout of more than 0 s; be polite"
        )


def _same_settings(path: Path, asks: dict[str, Any]) -> None:
    """Note what a folder's images are, so that another run does not mix in other ones."""
    if path.is_file():
        before = read_json(path)
        for key, value in asks.items():
            if before.get(key) != value:
                raise HoagError(f"{path.parent}: has cutouts made with {key} {before.get(key)!r}, "
                                f"not {value!r}; choose another folder")  # fmt: skip
    else:
        write_json(path, asks)


def _fetch_all(
    positions: Positions, out: Path, suffix: str, service: Service, connections: int
) -> dict[int, str]:
    """Fetch what is not there yet; gives why rows failed, by their number."""
    failed = dict(positions.unusable) | _blank_before(out, positions)
    files = [out / IMAGES / f"{stem}{suffix}" for stem in positions.stems]
    missing = [row for row in range(len(files)) if row not in failed and not _is_whole(files[row])]
    in_a_row = 0
    done = _run(missing, positions, files, service, connections)
    # Closed at once if this raises, so that no thread goes on asking.
    with closing(done):
        for row, problem in progress(done, "fetching cutouts", total=len(missing), unit="images"):
            if problem is None or problem.blank:
                in_a_row = 0
            else:
                in_a_row += 1
            if problem is not None:
                failed[row] = str(problem)
            if in_a_row >= _GIVE_UP:
                _write_failed(out, positions, failed)
                raise HoagError(f"{out}: {_GIVE_UP} cutouts in a row failed, the last because "
                                f"{problem}; run the same again to go on")  # fmt: skip
    return failed


def _run(
    rows: Iterable[int], positions: Positions, files: list[Path], service: Service, connections: int
) -> Generator[tuple[int, NotFetched | None]]:
    """Fetch rows over several connections, few at a time; gives each with its problem if any."""

    def one(row: int) -> NotFetched | None:
        asked = Asked(positions.ra[row], positions.dec[row], positions.fields[row])
        try:
            content = service.fetch(asked)
        except NotFetched as problem:
            return problem
        with written_whole(files[row]) as temporary:
            temporary.write_bytes(content)
        return None

    waiting = iter(rows)
    pool = ThreadPoolExecutor(connections)
    running: dict[Future[NotFetched | None], int] = {}
    try:
        while True:
            for row in islice(waiting, 2 * connections - len(running)):
                running[pool.submit(one, row)] = row
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _is_whole(path: Path) -> bool:
    """Tell whether an image is there; it is, since files are written whole, unless changed."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    if path.suffix == ".fits":
        return content[:9] == b"SIMPLE  =" and len(content) % 2880 == 0
    return content[:2] == b"\xff\xd8" and b"\xff\xd9" in content[-64:]


def _blank_before(out: Path, positions: Positions) -> dict[int, str]:
    """Rows that an earlier run found outside the survey, which need not be asked again."""
    path = out / FAILED
    if not path.is_file():
        return {}
    table = read_table(path)
    known = dict(zip(table["id_str"].to_pylist(), table["reason"].to_pylist(), strict=True))
    return {row: known[name] for row, name in enumerate(positions.ids)
            if known.get(name, "").startswith(_BLANK)}  # fmt: skip


def _write_failed(out: Path, positions: Positions, failed: dict[int, str]) -> None:
    import pyarrow as pa

    rows = sorted(failed)
    columns = {"row": pa.array(rows, pa.int64()),
               "id_str": pa.array([positions.ids[row] for row in rows], pa.string()),
               "reason": pa.array([failed[row] for row in rows], pa.string())}  # fmt: skip
    write_table(pa.table(columns), out / FAILED)


def _write_catalogue(
    catalogue: Path, out: Path, suffix: str, positions: Positions, failed: dict[int, str]
) -> Path:
    import pyarrow as pa

    _write_failed(out, positions, failed)
    kept = [row for row in range(len(positions.ids)) if row not in failed]
    if not kept:
        raise HoagError(f"{out}: not one cutout was had; {FAILED} says why for each, the first: "
                        f"{failed[min(failed)]}")  # fmt: skip
    table = positions.table.take(kept)
    table = table.append_column(
        "file_loc", pa.array([f"{IMAGES}/{positions.stems[row]}{suffix}" for row in kept])
    ).append_column("cutout_arcsec", pa.array(positions.fields[kept]))
    ending = catalogue.suffix.lower()
    path = out / f"catalogue{ending if ending in SUFFIXES else '.parquet'}"
    write_table(table, path)
    say(f"{path}: {len(kept)} galaxies with cutouts, {len(failed)} without ({FAILED})")
    return path
