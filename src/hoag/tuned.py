"""A finetuned model in use: what it predicts, as a table with a column for each thing it learned.

Models finetuned on votes are vote models like any other (`hoag.models.Model`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.checkpoint import weights_hash
from hoag.column_labels import labelled, with_usual_labels
from hoag.finetuned import Finetuned
from hoag.galaxies import Galaxies
from hoag.goal_heads import Goal
from hoag.models import Model, averaged
from hoag.prediction_choices import columns_kept, refuse_repeats
from hoag.prediction_parts import check_suffix, write_prediction
from hoag.provenance import stamp

if TYPE_CHECKING:
    import pyarrow as pa


class Tuned(Model):
    """A model finetuned for classes, labels or numbers, frozen and in evaluation mode."""

    objective: Finetuned

    @property
    def goal(self) -> Goal:
        """What it has learned."""
        return self.objective.goal

    @property
    def head_hash(self) -> str:
        """16 hex digits that stand for all weights that its predictions rest on."""
        parts = {"encoder": self.encoder, "head": self.objective.head}
        return weights_hash(
            {f"{k}.{n}": v for k, part in parts.items() for n, v in part.state_dict().items()}
        )

    def answer(
        self, galaxies: Galaxies, *, symmetries: int = 1, quiet: bool = False
    ) -> npt.NDArray[np.float32]:
        """Give what the head predicts as numbers.

        Returns
        -------
        numpy.ndarray
            (n, classes) probabilities, rows summing to 1; (n, labels) probabilities; or (n, 2
            numbers), values and then their scatters (standard deviations) in the units learned.
        """
        head = self.objective.head
        function = averaged(lambda images: head.answer(head(self.encoder(images))), symmetries)
        return self._apply(galaxies, function, "predicting", quiet)

    def predict(  # type: ignore[override]  # a table here, since the columns differ by goal
        self, galaxies: Galaxies, *, symmetries: int = 1, quiet: bool = False
    ) -> "pa.Table":
        """Predict a table of ``id_str`` and what was learned.

        For classes of a column C there are ``C_predicted``, the likeliest, and ``C_NAME``, the
        probability of each; for labels ``C_probability``; for numbers ``C_predicted`` and
        ``C_scatter``.

        Parameters
        ----------
        galaxies
            What to predict for.
        symmetries
            1: the image as it is. 8: the mean over its flips and right-angle rotations.
        quiet
            Show no progress bar.
        """
        return predict_table(self, galaxies, symmetries=symmetries, keep=(), quiet=quiet)


@dataclass(frozen=True)
class TunedPrediction:
    """What is predicted of which galaxies: a job of `hoag.prediction_parts.write_prediction`."""

    model: Tuned
    galaxies: Galaxies
    keep: tuple[str, ...]
    symmetries: int

    def part(self, start: int, stop: int, *, quiet: bool = True) -> "pa.Table":
        """Predict for the galaxies from `start` up to `stop`."""
        import pyarrow as pa

        some = self.galaxies.take(np.arange(start, stop))
        answers = self.model.answer(some, symmetries=self.symmetries, quiet=quiet)
        made = list(_columns(self.model.goal, answers))
        before = some.select(self.keep)
        fields = [*map(with_usual_labels, before.schema), *(field for field, _ in made)]
        arrays = [*before.columns, *(array for _, array in made)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def about(self) -> dict[str, Any]:
        """Record what was done, as the catalogue carries it."""
        model = self.model
        return {
            **stamp(seed=model.recipe.seed, schema_hash=model.schema.hash),
            "models": [model.head_hash],
            "goal": model.goal.to_dict(),
            "data": self.galaxies.hash,
            "symmetries": self.symmetries,
        }


def predict_table(
    model: Tuned,
    galaxies: Galaxies,
    *,
    symmetries: int = 1,
    keep: Sequence[str] | None = None,
    quiet: bool = False,
) -> "pa.Table":
    """Predict what a model was finetuned for, as a table in memory; see `Tuned.predict`.

    Parameters
    ----------
    model
        Finetuned for classes, labels or numbers.
    galaxies
        What to predict for.
    symmetries
        1, or 8 for the mean over flips and right-angle rotations.
    keep
        Columns of the galaxies to keep beside ``id_str``; None keeps all but votes and lists.
    quiet
        Show no progress bar.

    Raises
    ------
    HoagError
        If there are no galaxies, or a column to keep is missing or would come twice.
    """
    job = TunedPrediction(model, galaxies, _kept(model, galaxies, keep), symmetries)
    return job.part(0, len(galaxies), quiet=quiet)


def predict_table_to(
    out: str | Path,
    model: Tuned,
    galaxies: Galaxies,
    *,
    symmetries: int = 1,
    keep: Sequence[str] | None = None,
) -> Path:
    """Predict what a model was finetuned for, as a catalogue on disk; resumes if stopped.

    Parameters
    ----------
    out
        The catalogue, its format chosen by its suffix: .parquet, .csv, .fits or .vot.
    model, galaxies, symmetries, keep
        As in `predict_table`.
    """
    path = check_suffix(out)
    job = TunedPrediction(model, galaxies, _kept(model, galaxies, keep), symmetries)
    return write_prediction(path, job)


def _kept(model: Tuned, galaxies: Galaxies, keep: Sequence[str] | None) -> tuple[str, ...]:
    kept = columns_kept(galaxies, keep)
    width = len(model.goal.names) * (2 if model.goal.kind == "numbers" else 1)
    made = _columns(model.goal, np.zeros((0, width), np.float32))
    refuse_repeats(kept, [field.name for field, _ in made])
    return kept


def _columns(goal: Goal, answers: npt.NDArray[np.float32]) -> Iterator[tuple[Any, Any]]:
    """Give field and values of each column of a prediction."""
    import pyarrow as pa

    number, text = pa.float32(), pa.string()
    if goal.kind == "classes":
        (column,) = goal.columns
        likeliest = np.array(goal.names, dtype=object)[answers.argmax(1)].tolist()
        about = f"likeliest class of {column}"
        field = labelled(f"{column}_predicted", text, ucd="meta.code.class", description=about)
        yield field, pa.array(likeliest, text)
        for name, values in zip(goal.names, answers.T, strict=True):
            about = f"probability that {column} is {name}"
            ucd = "stat.probability"
            yield labelled(f"{column}_{name}", number, ucd=ucd, description=about), pa.array(values)
    elif goal.kind == "labels":
        for name, values in zip(goal.names, answers.T, strict=True):
            about = f"probability of {name}"
            field = labelled(
                f"{name}_probability", number, ucd="stat.probability", description=about
            )
            yield field, pa.array(values)
    else:
        values, scatters = np.split(answers, 2, axis=1)
        for place, name in enumerate(goal.names):
            about = f"predicted {name}"
            field = labelled(f"{name}_predicted", number, ucd="stat.mean", description=about)
            yield field, pa.array(values[:, place])
            about = f"standard deviation of predicted {name}"
            field = labelled(f"{name}_scatter", number, ucd="stat.stdev", description=about)
            yield field, pa.array(scatters[:, place])
