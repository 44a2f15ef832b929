"""`hoag.predict` and `hoag.calibrate`: models and galaxies given opened, or by name.

The work is done elsewhere: `hoag.predicting` for models of votes, `hoag.tuned` for finetuned ones,
`hoag.calibrating` for what the votes say of the predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from hoag.errors import HoagError
from hoag.files import check_place
from hoag.galaxies import Galaxies
from hoag.galaxies import open as open_galaxies
from hoag.loading import load
from hoag.models import Model
from hoag.predicting import VOLUNTEERS, predict_to
from hoag.predicting import predict as predict_votes
from hoag.prediction_parts import check_suffix
from hoag.tuned import Tuned, predict_table, predict_table_to

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

GivenModel: TypeAlias = "str | Path | Model"


class Calibration(dict[str, Any]):
    """What calibration.json holds, which says in a few lines what was found."""

    def __repr__(self) -> str:
        from hoag.calibrating import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        from hoag.notebook import calibration_html

        return calibration_html(self)

    def plot(self) -> Figure:
        """Draw the PIT histograms of all votes and of each campaign, before and after."""
        from hoag.calibration_figures import pit_figure

        campaigns = [group for group in self["groups"] if group["by"] == "campaign"]
        return pit_figure([{"name": "all", **self["all"]}, *campaigns])


@overload
def predict(
    model: GivenModel | Sequence[GivenModel], galaxies: str | Path | Galaxies, out: None = None, *,
    campaign: str = ..., volunteers: int | str = ..., symmetries: int = ..., level: float = ...,
    keep: Sequence[str] | None = ..., which: str = ..., device: str = ...,
) -> pa.Table: ...  # fmt: skip


@overload
def predict(
    model: GivenModel | Sequence[GivenModel], galaxies: str | Path | Galaxies, out: str | Path, *,
    campaign: str = ..., volunteers: int | str = ..., symmetries: int = ..., level: float = ...,
    keep: Sequence[str] | None = ..., which: str = ..., device: str = ...,
) -> Path: ...  # fmt: skip


def predict(
    model: GivenModel | Sequence[GivenModel],
    galaxies: str | Path | Galaxies,
    out: str | Path | None = None,
    *,
    campaign: str = "own",
    volunteers: int | str = VOLUNTEERS,
    symmetries: int = 1,
    level: float = 0.9,
    keep: Sequence[str] | None = None,
    which: str = "best",
    device: str = "auto",
) -> pa.Table | Path:
    """Predict what volunteers would say of galaxies, or what a finetuned model has learned.

    Parameters
    ----------
    model
        A model, anything `hoag.load` takes, or several of votes, whose beliefs are mixed.
    galaxies
        Opened, or anything `hoag.open` takes.
    out
        The catalogue to write: .parquet, .csv, .fits or .vot; goes on where it was stopped. None:
        a table in memory.
    campaign, volunteers, level
        As in `hoag.predicting.predict`; they concern votes.
    symmetries
        8 averages over flips and right-angle rotations.
    keep
        Columns of the galaxies to keep beside ``id_str``; None keeps all but votes and lists.
    which
        The "best" or the "last" checkpoint of runs.
    device
        auto, cpu, cuda or mps, for models that are given by name.

    Returns
    -------
    pyarrow.Table or pathlib.Path
        ``table.to_pandas()`` makes a data frame of it, ``astropy.table.Table.read(out)`` reads a
        FITS or VOTable one with its units and descriptions. Columns as in
        `hoag.predicting.predict` and `hoag.tuned.Tuned.predict`.

    Raises
    ------
    HoagError
        If models and galaxies do not fit each other, or an option is odd.
    """
    given = [model] if isinstance(model, str | Path | Model) else list(model)
    if out is not None:
        read = [each for each in (*given, galaxies) if isinstance(each, str | Path)]
        check_suffix(out, *read)
    if not given:
        raise HoagError("give a model to predict with")
    models = [_loaded(each, which, device) for each in given]
    if not isinstance(galaxies, Galaxies):
        galaxies = open_galaxies(galaxies, schema=models[0].schema)
    if any(isinstance(each, Tuned) for each in models):
        first = _only_learned(models)
        if out is None:
            return predict_table(first, galaxies, symmetries=symmetries, keep=keep)
        return predict_table_to(out, first, galaxies, symmetries=symmetries, keep=keep)
    if out is None:
        return predict_votes(
            models, galaxies, campaign=campaign, volunteers=volunteers, symmetries=symmetries,
            level=level, keep=keep,
        )  # fmt: skip
    return predict_to(
        out, models, galaxies, campaign=campaign, volunteers=volunteers, symmetries=symmetries,
        level=level, keep=keep,
    )  # fmt: skip


def calibrate(
    model: GivenModel,
    galaxies: str | Path | Galaxies,
    out: str | Path | None = None,
    *,
    by: Sequence[str] = (),
    where: str = "",
    symmetries: int = 1,
    seed: int = 0,
    store: bool = True,
    which: str = "best",
    device: str = "auto",
) -> Calibration:
    """Test predicted votes on held-out ones, and fit a temperature for each question.

    Parameters
    ----------
    model
        A model with a vote head, which has the temperatures from now on; or anything `hoag.load`
        takes.
    galaxies
        What it was trained on: opened, anything `hoag.open` takes, or a folder with a
        dataset.toml.
    out
        Folder for calibration.html and calibration.json; None writes neither.
    by, where, symmetries, seed
        As in `hoag.calibrating.calibrate`.
    store
        Write the temperatures beside the model's weights, where `hoag.load` finds them.
    which
        The "best" or the "last" checkpoint of a run.
    device
        auto, cpu, cuda or mps, for a model that is given by name.

    Returns
    -------
    Calibration
        What calibration.json holds; shown, it says what was found.

    Raises
    ------
    HoagError
        If there are no votes in one of the splits, or no such column.
    """
    from hoag.calibrating import calibrate as judge
    from hoag.calibrating import open_held_out

    if out is not None:
        check_place(out, folder=True)
    loaded = _loaded(model, which, device)
    if not isinstance(galaxies, Galaxies):
        galaxies = open_held_out(galaxies, loaded.schema)
    return Calibration(
        judge(
            loaded, galaxies, out, by=by, where=where, symmetries=symmetries, seed=seed, store=store
        )
    )


def _only_learned(models: Sequence[Model]) -> Tuned:
    if len(models) != 1 or not isinstance(models[0], Tuned):
        raise HoagError(
            "only models of votes are mixed (--also); predict with a finetuned one alone"
        )
    return models[0]


def _loaded(model: GivenModel, which: str, device: str) -> Model:
    return model if isinstance(model, Model) else load(model, which=which, device=device)
