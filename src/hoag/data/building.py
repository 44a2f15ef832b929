"""`hoag data build`: sources joined into one GZ-Evo, in stages that can be stopped at any moment.

Everything is made in OUT.part, which becomes OUT when all is there; the same command goes on with
what an earlier one left. The result is a function of the inputs alone, byte for byte.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hoag.console import progress, say
from hoag.data.fits_images import FitsSettings
from hoag.data.identity import identity_of
from hoag.data.inputs import Inputs, inputs_from_arguments
from hoag.data.joining import join
from hoag.data.labelling import join_task
from hoag.data.planning import Plan, make_plan
from hoag.data.reading import read_source
from hoag.data.recording import write_records
from hoag.data.resizing import Settings, UnitImages, plan_units, resize_all, run_parallel
from hoag.data.shards import Sources, write_shard
from hoag.data.sources_file import inputs_from_file
from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.provenance import cores, stamp
from hoag.schema import Schema, load_schema

Place = str | Path


def build(
    out: Place,
    *,
    campaigns: Mapping[str, Place] | None = None,
    unlabelled: Sequence[Place] = (),
    downstream: Mapping[str, Place] | None = None,
    sources: Place | None = None,
    images: Mapping[str, Place] | None = None,
    surveys: Mapping[str, str] | None = None,
    schema: str | Path | Sequence[str | Path] | None = None,
    fits: FitsSettings | None = None,
    name: str = "",
    size: int = 128,
    quality: int = 95,
    workers: int | None = None,
) -> Path:
    """Join galaxies, votes and labels of several places into one set that hoag trains on.

    Parameters
    ----------
    out
        Folder of the set; made whole or not at all.
    campaigns
        Table of votes by campaign ("gz2"), as published or with columns named as hoag's answers; a
        folder of tables will do.
    unlabelled
        Galaxies without votes: tables, folders of tables, or folders of images alone.
    downstream
        Table of labels by the name of a task; ``TABLE:COLUMN`` says which column is the label.
    sources
        TOML file that says all of this, with more for each source; in place of the above.
    images
        Folder of image files, named by id, by the name of a source whose table has none.
    surveys
        Survey by the name of a source whose table does not say.
    schema
        Schemas of the votes, as `hoag.load_schema` takes them; GZ-Evo if None.
    fits
        How FITS images become RGB.
    name
        Name of the set; the folder's if empty.
    size, quality
        Side of the images in pixels, and their JPEG quality. An image that has this size already is
        kept as it is.
    workers
        Processes; all cores by default. The result does not depend on it.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    HoagError
        If an input cannot be used, or `out` holds something else.
    """
    out = Path(out)
    if not 16 <= size <= 1024 or not 1 <= quality <= 95:
        raise HoagError(f"size {size}, quality {quality}: sizes are 16 to 1024, qualities 1 to 95")
    inputs, names, chosen = _inputs(
        sources, campaigns, unlabelled, downstream, images, surveys, schema, fits
    )
    inputs = replace(inputs, name=name or inputs.name or out.name)
    settings = Settings(size, quality)
    identity = identity_of(inputs, settings, chosen)
    work = out.with_name(out.name + ".part")
    if _is_built(out, identity):
        shutil.rmtree(work, ignore_errors=True)  # of a build that was killed after its last step
        say(f"{out}: built already from the same tables; delete it to build it anew")
        return out
    with _held(work, identity):
        _build(inputs, names, chosen, settings, work, workers or cores(), identity["hash"])
        os.replace(work / "result", out)
        shutil.rmtree(work)
    say(_summary(out))
    return out


def _summary(out: Path) -> str:
    """One line that accounts for every row, and the command that shows more."""
    record = read_json(out / "build.json")
    rows = record["rows"]
    tables = [f"{t['galaxies']:,} {name}" for name, t in record["tables"].items() if t["galaxies"]]
    return (
        f"{out}: {rows['in']:,} rows in; {rows['out']:,} galaxies ({', '.join(tables)}), "
        f"{rows['merged']:,} merged into another of the same image, {rows['set_aside']:,} set "
        f"aside; look at it with: hoag data report {out}"
    )


def _inputs(
    sources: Place | None, campaigns: Mapping[str, Place] | None, unlabelled: Sequence[Place],
    downstream: Mapping[str, Place] | None, images: Mapping[str, Place] | None,
    surveys: Mapping[str, str] | None, schema: Any, fits: FitsSettings | None,
) -> tuple[Inputs, list[str], Schema]:  # fmt: skip
    """Read the inputs from the file or the arguments; with the names of their schemas."""
    if sources is not None:
        if campaigns or unlabelled or downstream or images or surveys:
            raise HoagError(f"{sources}: a file of sources says them all; leave the others out")
        inputs, names = inputs_from_file(sources, None if schema is None else load_schema(schema))
        names = names if schema is None else _names(schema)
        return inputs, names, load_schema(names)
    names = _names(schema or "gz-evo")
    chosen = load_schema(names)
    inputs = inputs_from_arguments(
        campaigns or {}, unlabelled, downstream or {}, images or {}, surveys or {},
        fits or FitsSettings(), chosen,
    )  # fmt: skip
    return inputs, names, chosen


def _names(schema: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(schema)] if isinstance(schema, str | Path) else [str(one) for one in schema]


def _is_built(out: Path, identity: dict[str, Any]) -> bool:
    if not out.exists():
        return False
    record = out / "build.json"
    if record.is_file() and read_json(record).get("identity") == identity["hash"]:
        return True
    what = "a set built from other inputs" if record.is_file() else "something else"
    raise HoagError(f"{out}: there is {what} already; delete it or choose another folder")


@contextmanager
def _held(work: Path, identity: dict[str, Any]) -> Iterator[None]:
    """Keep the working folder to one build, and to the inputs it was begun with."""
    import fcntl

    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HoagError(f"{work}: another build is at work there; wait for it") from None
        known = work / "identity.json"
        others = known.is_file() and read_json(known) != identity
        if others and next((work / "images").rglob("*.arrow"), None) is not None:
            raise HoagError(
                f"{work}: is left of a build from other inputs or settings; delete it, or choose "
                "another folder"
            )
        if known.is_file() and not others:
            say(f"{work}: going on with what is there")
        else:  # tables that were read take no time to be read again
            shutil.rmtree(work / "read", ignore_errors=True)
            write_json(known, identity)
        yield


def _build(
    inputs: Inputs, names: list[str], schema: Schema, settings: Settings, work: Path, workers: int,
    identity: str,
) -> None:  # fmt: skip
    """Go through the stages; each leaves files that the next ones, or another try, find."""
    reads = [
        read_source(source, schema, work / "read" / f"{k:03d}")
        for k, source in enumerate(inputs.sources)
    ]
    units = [plan_units(read) for read in reads]
    images = work / "images"
    resize_all([unit for of_source in units for unit in of_source], images, settings, workers)
    joined, unusable = join(reads, [UnitImages(u, images) for u in units], work)
    tasks = [join_task(task, reads, joined, schema) for task in inputs.tasks]
    answers = _answers(inputs, schema)
    sources = Sources(tuple(reads), tuple(map(tuple, units)), images, schema, answers)
    plan = make_plan(sources, joined, tasks, work / "plan")
    result = work / "result"
    data = result / "data"
    data.mkdir(parents=True, exist_ok=True)
    _write_shards(plan, sources, data, stamp(schema_hash=schema.hash), workers)
    _copy(plan, data, workers)
    write_records(result, inputs, names, settings, sources, joined, unusable, tasks, plan, identity)
    _clear_strays(result)


def _answers(inputs: Inputs, schema: Schema) -> tuple[str, ...]:
    campaigns = [source.campaign for source in inputs.sources if source.campaign]
    return schema.select(campaigns).columns if campaigns else ()


def _write_shards(
    plan: Plan, sources: Sources, data: Path, record: dict[str, Any], workers: int
) -> None:
    missing = [shard for shard in plan.shards if not (data / shard.name).is_file()]
    jobs = [(shard, plan.members[shard.table], sources, data, record) for shard in missing]
    done = run_parallel(write_shard, jobs, workers)
    for _ in progress(done, "writing shards", total=len(jobs), unit="shard"):
        pass


def _copy(plan: Plan, data: Path, workers: int) -> None:
    """Make the Arrow copies that random access needs, so that no reader has to."""
    jobs = [([data / shard.name],) for shard in plan.shards]
    done = run_parallel(_make_copies, jobs, workers)
    for _ in progress(done, "copying for random access", total=len(jobs), unit="shard"):
        pass


def _make_copies(shards: list[Path]) -> None:
    from hoag.arrow_copy import make_copies

    make_copies(shards)


def _clear_strays(folder: Path) -> None:
    """Remove what a killed process left half-written: names that begin with a dot."""
    for path in list(folder.rglob(".*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.exists():
            path.unlink()
