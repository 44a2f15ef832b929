"""What `hoag find` gives: a ranked catalogue, what to expect of it, and what to label next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import write_table
from hoag.embedding import ID
from hoag.errors import HoagError
from hoag.files import write_json
from hoag.more_labels import Learning
from hoag.pages import write_page
from hoag.provenance import full_stamp
from hoag.ranking_odds import Expected
from hoag.thumbnails import GivenGalaxies, jpeg_uris, pictures_of, strip

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Aim:
    """One thing looked for, yes, a class or a number, and what to expect of its ranking.

    Attributes
    ----------
    name
        "yes", a class, or the column of the numbers.
    galaxies
        How many are ranked.
    prior, prior_interval
        Share of it among all galaxies, as given or as inferred from the labels.
    auc
        Area under the ROC curve of held-out scores of the labelled.
    expected
        Purity and completeness at growing cuts; None for numbers.
    least
        (cuts,) lowest probability among those kept at each cut.
    learning
        The measure against the number of labels.
    labelled, truth
        (labelled,) held-out probabilities (or numbers) of the labelled, and their labels.
    scatter
        Of numbers: rms, r2 and half the width of the 90 % interval.
    """

    name: str
    galaxies: int
    prior: float
    prior_interval: tuple[float, float]
    auc: float
    expected: Expected | None
    least: Floats
    learning: Learning
    labelled: Floats
    truth: NDArray[Any]
    scatter: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of_numbers(
        name: str, galaxies: int, scatter: Mapping[str, float], learning: Learning,
        labelled: Floats, truth: Floats,
    ) -> Aim:  # fmt: skip
        """Make the aim of a regression."""
        none = float("nan")
        return Aim(
            name, galaxies, none, (none, none), none, None, np.empty(0), learning, labelled, truth,
            scatter,
        )  # fmt: skip

    def rows(self) -> list[dict[str, float]]:
        """What to expect at each cut, a row each: keep, probability, purity and completeness."""
        if self.expected is None:
            return []
        rows = []
        for number, keep in enumerate(self.expected.cuts):
            row: dict[str, float] = {"keep": int(keep), "probability": float(self.least[number])}
            for name in ("purity", "completeness"):
                values = getattr(self.expected, name)[number]
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), map(float, values),
                                strict=True))  # fmt: skip
            rows.append(row)
        return rows

    def keep_for(self, purity: float) -> int:
        """How many of the top to keep for a mean purity; 0 if none of the cuts is so pure."""
        if self.expected is None:
            raise HoagError("numbers have no purity; cut on the column value")
        good = self.expected.purity[:, 0] >= purity
        return int(self.expected.cuts[good].max()) if good.any() else 0

    def headline(self) -> str:
        """Say in a sentence or two what to expect."""
        if self.expected is None:
            return (
                f"{self.name}: held-out numbers are off by {self.scatter['rms']:.3g} rms "
                f"(R² = {self.scatter['r2']:.2f}); 90 % lie within ±"
                f"{self.scatter['half_width']:.3g}."
            )
        wanted = max(self.prior * self.galaxies, 1)
        place = int(np.abs(np.log(self.expected.cuts / wanted)).argmin())
        purity, complete = self.expected.purity[place], self.expected.completeness[place]
        return (
            f"{self.name}: about {wanted:,.0f} of {self.galaxies:,} galaxies; the "
            f"{self.expected.cuts[place]:,} ranked highest hold {_share(purity)} {self.name} and "
            f"{_share(complete)} of all there are."
        )


def _share(values: Floats) -> str:
    mean, low, high = (100 * value for value in values)
    return f"{mean:.0f} % ({low:.0f} to {high:.0f})"


@dataclass(frozen=True)
class Found:
    """A ranked catalogue.

    Attributes
    ----------
    table
        All galaxies, highest first: ``rank``, ``id_str``, ``probability`` (of yes; of several
        classes ``class``, its ``probability`` and ``probability_NAME`` each; of numbers ``value``,
        ``value_low``, ``value_high``), ``label`` as given, then the catalogue's columns.
    aims
        What to expect, for each thing looked for.
    suggestions
        What to label next: ids, an empty ``label``, and their place.
    about
        How it was made, with notes on what it rests on.
    galaxies
        Where pictures come from, if they were given.
    """

    table: pa.Table
    aims: tuple[Aim, ...]
    suggestions: pa.Table
    about: dict[str, Any]
    galaxies: GivenGalaxies | None = field(default=None, repr=False)

    @property
    def expected(self) -> pa.Table:
        """Purity and completeness at growing cuts, a row each, with 90 % intervals."""
        import pyarrow as pa

        return pa.Table.from_pylist(
            [{"sought": aim.name, **row} for aim in self.aims for row in aim.rows()]
        )

    def write(self, path: str | Path) -> Path:
        """Write everything.

        Parameters
        ----------
        path
            The catalogue; its suffix chooses the format. Beside it go ``NAME.html``, the page,
            ``NAME.json``, all numbers of the page, and ``NAME-next.csv``, the suggestions: fill in
            its column ``label`` and give it back.

        Returns
        -------
        pathlib.Path
            The page.
        """
        path = Path(path)
        stamp, page = full_stamp(seed=self.about["seed"]), self.page()  # pictures may be missing
        write_table(self.table, path, stamp={**stamp, **self._plain()})
        if len(self.suggestions):
            write_table(self.suggestions, path.with_name(f"{path.stem}-next.csv"))
        write_json(path.with_suffix(".json"), {"stamp": stamp, **self.to_dict()})
        return write_page(path.with_suffix(".html"), page)

    def to_dict(self) -> dict[str, Any]:
        """All numbers of the page, as JSON can hold them."""
        return {
            **self._plain(),
            "sought": [_aim_dict(aim) for aim in self.aims],
            "suggestions": self.suggestions.drop_columns(["label"]).to_pylist(),
        }

    def _plain(self) -> dict[str, Any]:
        return {**self.about, "headline": [aim.headline() for aim in self.aims]}

    def page(self) -> str:
        """HTML of the page, which needs nothing from outside itself."""
        from hoag.finding_page import finding_page

        return finding_page(self)

    def plot(self) -> Figure:
        """Draw purity and completeness along the ranking."""
        from hoag.finding_page import expected_figure

        return expected_figure(self.aims[0])

    def images(self, ids: list[str], size: int = 128) -> dict[str, str]:
        """Pictures of some galaxies as data URIs; none if no galaxies were given."""
        if self.galaxies is None or not ids:
            return {}
        return jpeg_uris(pictures_of(self.galaxies, ids, size))

    def _repr_html_(self) -> str:
        rows = self.table.slice(0, 24).to_pylist()
        images = self.images([row[ID] for row in rows], 96)
        items = [
            {"id": row[ID], "image": images.get(row[ID]), "note": f"{row['rank']}. {_mark(row)}"}
            for row in rows
        ]
        said = "".join(f"<p>{escape(aim.headline())}</p>" for aim in self.aims)
        return said + strip(items)

    def __repr__(self) -> str:
        return " ".join(aim.headline() for aim in self.aims)


def _mark(row: Mapping[str, Any]) -> str:
    value = row.get("probability", row.get("value"))
    return f"{row['class']} {value:.2f}" if "class" in row else f"{value:.3g}"


def _aim_dict(aim: Aim) -> dict[str, Any]:
    learning = aim.learning
    content: dict[str, Any] = {
        "name": aim.name,
        "headline": aim.headline(),
        "learning": {
            "measure": learning.measure,
            "measured": _curve(learning.sizes, learning.values),
            "continued": _curve(learning.ahead, learning.guesses),
        },
    }
    if aim.expected is None:
        return content | {"scatter": dict(aim.scatter)}
    return content | {
        "prior": aim.prior,
        "prior_interval": list(aim.prior_interval),
        "auc": aim.auc,
        "expected": aim.rows(),
    }


def _curve(sizes: NDArray[np.int64], values: Floats) -> list[dict[str, float]]:
    return [
        {"labels": int(size), "value": float(v), "low": float(low), "high": float(high)}
        for size, (v, low, high) in zip(sizes, values, strict=True)
    ]
