"""``hoag predict``: what volunteers would say of many galaxies, by one model or several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.beliefs import Beliefs
from hoag.catalogue import FITS
from hoag.column_labels import with_usual_labels
from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.fits_writing import MOST_FITS_COLUMNS
from hoag.galaxies import Galaxies
from hoag.models import Model
from hoag.prediction_choices import (
    chosen_campaigns,
    columns_kept,
    refuse_repeats,
    whole_volunteers,
)
from hoag.prediction_parts import UNIT, bounds, check_suffix, write_prediction
from hoag.prediction_tables import Columns
from hoag.provenance import stamp

if TYPE_CHECKING:
    import pyarrow as pa

VOLUNTEERS = 40  # what Galaxy Zoo campaigns ask for a galaxy


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
    cuts = progress(bounds(galaxies), "predicting", unit=UNIT)
    return pa.concat_tables([job.part(start, stop) for start, stop in cuts])


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
    if symmetries not in (1, 8):
        raise HoagError(f"symmetries = {symmetries} must be 1 or 8 (flips and right angles)")
    if not 0 < level < 1:
        raise HoagError(f"level = {level} is not between 0 and 1; 0.9 gives a 90 % interval")
    kept = columns_kept(galaxies, keep)
    chosen, wanted = chosen_campaigns(galaxies, schema, campaign)
    columns = Columns(chosen, level, whole_volunteers(volunteers))
    if most_columns is not None and len(kept) + len(columns.fields()) > most_columns:
        columns = Columns(chosen, level, columns.volunteers, arrays=True)
        say(
            f"FITS holds at most {most_columns} columns: the answers to a question share array "
            "columns, in the order that their descriptions give"
        )
    refuse_repeats(kept, [field.name for field in columns.fields()])
    return Prediction(several, galaxies, columns, kept, wanted, symmetries)


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
