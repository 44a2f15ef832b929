"""``hoag predict``: what volunteers would say of many galaxies, written part by part.

A part is a few thousand galaxies. Each is written whole into a folder beside the catalogue, so that
a prediction that was stopped goes on with the first part that is missing; at the end they are
joined to the catalogue and the folder is removed. Parts are cut at the same galaxies whatever
happens, so that a stopped and a whole run give the same bytes.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hoag._version import __version__
from hoag.beliefs import Beliefs
from hoag.campaigns import closest
from hoag.catalogue import FITS, PARQUET, SUFFIXES, list_names, read_table, write_parts
from hoag.column_labels import with_usual_labels
from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.fits_writing import MOST_FITS_COLUMNS
from hoag.galaxies import Galaxies
from hoag.models import Model
from hoag.prediction_tables import Columns
from hoag.provenance import stamp
from hoag.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

VOLUNTEERS = 40  # what Galaxy Zoo campaigns ask for a galaxy
PART = 4096  # galaxies


@dataclass(frozen=True)
class Prediction:
    """What is predicted, of which galaxies, by which models; made by `plan_prediction`.

    Attributes
    ----------
    models
        One, or several whose beliefs are mixed.
    galaxies
        What is predicted for.
    columns
        The columns that are made.
    keep
        Columns of the galaxies that go before them.
    wanted
        (n, campaigns of the columns) bool: which campaigns of each galaxy.
    symmetries
        1, or 8: averaged over flips and right-angle rotations.
    """

    models: Sequence[Model]
    galaxies: Galaxies
    columns: Columns
    keep: tuple[str, ...]
    wanted: NDArray[np.bool_]
    symmetries: int

    def part(self, start: int, stop: int) -> "pa.Table":
        """Predict for the galaxies from `start` up to `stop`."""
        import pyarrow as pa

        rows = np.arange(start, stop)
        galaxies = self.galaxies.take(rows)
        beliefs = Beliefs.of(
            [m.predict(galaxies, symmetries=self.symmetries, quiet=True) for m in self.models],
            self.models[0].schema,
        )
        made = self.columns.table(beliefs, self.wanted[rows], self._own_numbers(galaxies))
        kept = galaxies.select(self.keep)
        fields = [with_usual_labels(field) for field in kept.schema]
        return pa.Table.from_arrays(
            [*kept.columns, *made.columns], schema=pa.schema([*fields, *made.schema])
        )

    def _own_numbers(self, galaxies: Galaxies) -> NDArray[np.int64]:
        """How many volunteers were asked each question; (n, questions of the columns)."""
        votes = galaxies.votes_of(np.arange(len(galaxies)))
        totals = np.add.reduceat(votes, galaxies.schema.starts, axis=1)
        place = {q.name: n for n, q in enumerate(galaxies.schema.questions)}
        return totals[:, [place[q.name] for q in self.columns.schema.questions]].astype(np.int64)

    def about(self) -> dict[str, Any]:
        """Record what was done, as the catalogue carries it."""
        first = self.models[0]
        return {
            **stamp(seed=first.recipe.seed, schema_hash=first.schema.hash),
            "models": [model.votes_hash for model in self.models],
            "temperatures": [_temperatures(model) for model in self.models],
            "data": self.galaxies.hash,
            "campaigns": list(self.columns.schema.campaigns),
            "volunteers": self.columns.volunteers,
            "level": self.columns.level,
            "symmetries": self.symmetries,
        }


def predict(
    models: Model | Sequence[Model],
    galaxies: Galaxies,
    *,
    campaign: str = "own",
    volunteers: int | str = VOLUNTEERS,
    symmetries: int = 1,
    level: float = 0.9,
    keep: Sequence[str] | None = None,
) -> "pa.Table":
    """Predict what volunteers would say of galaxies, as a table in memory.

    Parameters
    ----------
    models
        A model with a vote head, or several, whose beliefs are mixed in equal parts.
    galaxies
        What to predict for, opened with the models' schema.
    campaign
        "own": the questions of the campaign that each galaxy was in, known by its votes or by a
        column `campaign`; or the name of a campaign; or "all".
    volunteers
        How many are asked each question, for the intervals of votes; "own": as many as the galaxy
        had, null where it was not asked.
    symmetries
        8 averages over flips and right-angle rotations.
    level
        Probability inside the intervals.
    keep
        Columns of the galaxies to keep beside `id_str`; None keeps all but votes and lists.

    Returns
    -------
    pyarrow.Table
        For each answer ``_fraction`` (expected, of those asked), ``_fraction_low``,
        ``_fraction_high``, ``_votes_low``, ``_votes_high``; for each question ``_asked``
        (probability that a volunteer comes to it) and ``_entropy`` (bits).

    Raises
    ------
    HoagError
        If models and galaxies do not fit each other, or an option is odd.
    """
    import pyarrow as pa

    job = plan_prediction(
        models, galaxies, campaign=campaign, volunteers=volunteers, symmetries=symmetries,
        level=level, keep=keep,
    )  # fmt: skip
    parts = [job.part(start, stop) for start, stop in _cuts(job, "predicting")]
    return pa.concat_tables(parts)


def predict_to(
    out: str | Path,
    models: Model | Sequence[Model],
    galaxies: Galaxies,
    *,
    campaign: str = "own",
    volunteers: int | str = VOLUNTEERS,
    symmetries: int = 1,
    level: float = 0.9,
    keep: Sequence[str] | None = None,
) -> Path:
    """Predict what volunteers would say of galaxies, as a catalogue on disk; resumes if stopped.

    Parameters
    ----------
    out
        The catalogue, its format chosen by its suffix: .parquet, .csv, .fits or .vot. Until it is
        whole, its parts lie in a folder called ``OUT.parts``.
    models, galaxies, campaign, volunteers, symmetries, level, keep
        As in `predict`.

    Raises
    ------
    HoagError
        As in `predict`; and if the format cannot hold the columns, which is found out first, or
        ``OUT.parts`` is of another prediction.
    """
    out = check_suffix(out)
    most = MOST_FITS_COLUMNS if out.suffix.lower() in FITS else None
    job = plan_prediction(
        models, galaxies, campaign=campaign, volunteers=volunteers, symmetries=symmetries,
        level=level, keep=keep, most_columns=most,
    )  # fmt: skip
    for model in job.models:
        say(_said_of(model))
    return write_prediction(out, job)


class Job(Protocol):
    """What `write_prediction` writes: galaxies in parts, and what the catalogue says of itself."""

    @property
    def galaxies(self) -> Galaxies:
        """What is predicted for."""

    @property
    def keep(self) -> Sequence[str]:
        """Columns of the galaxies that go before the predictions."""

    def part(self, start: int, stop: int) -> "pa.Table":
        """Predict for the galaxies from `start` up to `stop`."""

    def about(self) -> dict[str, Any]:
        """Record what was done."""


def check_suffix(out: str | Path) -> Path:
    """Refuse a name that ends in no format of catalogues."""
    path = Path(out)
    if path.suffix.lower() not in SUFFIXES:
        raise HoagError(f"{path}: catalogues are written as {', '.join(SUFFIXES)}; end it in one")
    return path


def write_prediction(out: Path, job: Job) -> Path:
    """Write a prediction part by part, going on with what is there of it."""
    folder = out.with_name(out.name + ".parts")
    about = job.about()
    _start(folder, {"part": PART, "format": out.suffix, "keep": list(job.keep), **about})
    _try_format(job, folder / f"kept{out.suffix}")
    todo = [cut for cut in _bounds(job) if not _file(folder, cut[0]).exists()]
    if len(todo) < len(_bounds(job)):
        say(f"{out}: goes on with {len(todo)} of {len(_bounds(job))} parts left")
    for start, stop in progress(todo, "predicting", unit=f"x{PART} galaxies"):
        write_parts(lambda: [job.part(start, stop)], _file(folder, start))  # noqa: B023
    files = [_file(folder, start) for start, _ in _bounds(job)]
    write_parts(lambda: (read_table(file) for file in files), out, stamp=about)
    shutil.rmtree(folder)
    return out


def plan_prediction(
    models: Model | Sequence[Model],
    galaxies: Galaxies,
    *,
    campaign: str,
    volunteers: int | str,
    symmetries: int,
    level: float,
    keep: Sequence[str] | None,
    most_columns: int | None = None,
) -> Prediction:
    """Check everything that can be checked before the first image is read."""
    several = [models] if isinstance(models, Model) else list(models)
    if not several:
        raise HoagError("give a model to predict with")
    schema = several[0].schema
    for each in several:
        each.votes_hash  # noqa: B018  # refuses a model without a vote head
        if each.schema.hash != schema.hash:
            raise HoagError("the models answer different questions, so they cannot be mixed")
    if galaxies.schema.hash != schema.hash:
        raise HoagError(
            f"the galaxies were opened with schema {galaxies.schema.name}, and the model answers "
            f"{schema.name}; open them with schema=model.schema"
        )
    if len(galaxies) == 0:
        raise HoagError("there are no galaxies to predict for")
    if symmetries not in (1, 8):
        raise HoagError(f"symmetries = {symmetries} must be 1 or 8 (flips and right angles)")
    if not 0 < level < 1:
        raise HoagError(f"level = {level} is not between 0 and 1; 0.9 gives a 90 % interval")
    chosen, wanted = _campaigns(galaxies, schema, campaign)
    kept = _kept(galaxies, keep)
    columns = Columns(chosen, level, _volunteers(volunteers))
    if most_columns is not None and len(kept) + len(columns.fields()) > most_columns:
        columns = Columns(chosen, level, columns.volunteers, arrays=True)
        say(
            f"FITS holds at most {most_columns} columns: the answers to a question share array "
            "columns, in the order that their descriptions give"
        )
    for field in columns.fields():
        if field.name in kept:
            raise HoagError(
                f"the galaxies have a column '{field.name}' already, which would come twice; "
                "choose the columns to keep with --keep, e.g. --keep ra --keep dec"
            )
    return Prediction(several, galaxies, columns, kept, wanted, symmetries)


def _volunteers(volunteers: int | str) -> int | str:
    if volunteers == "own":
        return "own"
    try:
        number = int(volunteers)
    except ValueError:
        number = 0
    if number < 1 or number != float(volunteers):
        raise HoagError(
            f"volunteers = {volunteers!r} must be a whole number, 1 or more, or 'own' for as many "
            "as each galaxy had"
        )
    return number


def _campaigns(
    galaxies: Galaxies, schema: Schema, campaign: str
) -> tuple[Schema, NDArray[np.bool_]]:
    """Give the questions to predict, and which campaigns for which galaxy."""
    if campaign in ("all", *schema.campaigns):
        chosen = schema if campaign == "all" else schema.select(campaign)
        return chosen, np.ones((len(galaxies), len(chosen.campaigns)), bool)
    if campaign != "own":
        known = ["own", "all", *schema.campaigns]
        raise HoagError(
            f"campaign {campaign!r} is none of {', '.join(known)}{closest(campaign, known)}"
        )
    own = own_campaigns(galaxies)
    chosen = schema.select([name for name in schema.campaigns if (own == name).any()])
    strangers = int((own == "").sum())
    if strangers:
        say(f"{strangers:,} of {len(galaxies):,} galaxies are in no campaign: null; or --campaign")
    return chosen, own[:, None] == np.array(chosen.campaigns)


def own_campaigns(galaxies: Galaxies) -> NDArray[np.str_]:
    """Campaign of each galaxy by its votes, else by a column `campaign`, else ""; (n,) str.

    Raises
    ------
    HoagError
        If no galaxy has one.
    """
    own = np.array(galaxies.campaign, dtype=object)
    if "campaign" in galaxies.columns and (own == "").any():
        told = galaxies.select(["campaign"])["campaign"].to_pylist()
        known = set(galaxies.schema.campaigns)
        told = np.array([name if name in known else "" for name in told], dtype=object)
        own = np.where(own == "", told, own)
    if (own == "").all():
        names = ", ".join(galaxies.schema.campaigns)
        raise HoagError(
            "the galaxies are in no campaign (no votes, and no column 'campaign'); say whose "
            f"questions to predict: --campaign all, or one of {names}"
        )
    return own.astype(str)


def _kept(galaxies: Galaxies, keep: Sequence[str] | None) -> tuple[str, ...]:
    import pyarrow as pa

    fields = {field.name: field for field in galaxies.take([0]).table.schema}
    if keep is None:
        votes = set(galaxies.schema.columns)
        names = [
            name for name, field in fields.items()
            if name not in votes and not pa.types.is_nested(field.type)
            and not pa.types.is_binary(field.type)
        ]  # fmt: skip
    else:
        for name in keep:
            if name not in fields:
                raise HoagError(f"there is no column '{name}' to keep; {list_names(list(fields))}")
        names = list(keep)
    return tuple(dict.fromkeys(["id_str", *names]))


def _bounds(job: Job) -> list[tuple[int, int]]:
    total = len(job.galaxies)
    return [(start, min(start + PART, total)) for start in range(0, total, PART)]


def _cuts(job: Prediction, doing: str) -> Iterator[tuple[int, int]]:
    yield from progress(_bounds(job), doing, unit=f"x{PART} galaxies")


def _file(folder: Path, start: int) -> Path:
    return folder / f"part-{start // PART:06d}.parquet"


def _start(folder: Path, plan: dict[str, Any]) -> None:
    """Make the folder of parts, or see that it is of the same prediction."""
    path = folder / "plan.json"
    plan = {**plan, "hoag": __version__}
    if path.exists():
        before = read_json(path)
        changed = [name for name in plan if before.get(name) != plan[name]]
        if changed:
            raise HoagError(
                f"{folder}: holds parts of another prediction (its {changed[0]} is "
                f"{before.get(changed[0])!r}, now {plan[changed[0]]!r}); delete it to start anew, "
                "or choose another OUT"
            )
        return
    write_json(path, plan)


def _try_format(job: Job, path: Path) -> None:
    """Write the columns that are kept, so that one the format cannot hold is met at once."""
    if path.suffix in PARQUET:
        return
    write_parts(
        lambda: (job.galaxies.take(np.arange(a, b)).select(job.keep) for a, b in _bounds(job)), path
    )
    path.unlink()


def _temperatures(model: Model) -> dict[str, float] | None:
    return None if model.temperatures is None else dict(model.temperatures.by_question)


def _said_of(model: Model) -> str:
    name = model.folder or repr(model)
    if model.temperatures is None:
        return f"{name}: has no temperatures; `hoag calibrate` tests and sharpens its intervals"
    values = model.temperatures.of(model.schema)
    return (
        f"{name}: temperatures of {len(values)} questions are applied, "
        f"{values.min():.2f} to {values.max():.2f}"
    )
