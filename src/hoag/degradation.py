"""The same real galaxies through another telescope: what changes in what a model makes of them.

Pictures of each survey are degraded (`hoag.telescope_views`) and seen by the model again. How far
do representations move, do galaxies keep their neighbours, do expected votes shift, are posteriors
still true? And of the degradation itself: can a linear probe tell its pictures from the target's?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import require_columns
from hoag.console import progress, say
from hoag.cross_survey import probe_surveys
from hoag.errors import HoagError
from hoag.galaxies import Galaxies
from hoag.models import Model
from hoag.telescope_views import Images, check_degradable, degrade, sky_noise
from hoag.telescopes import Telescope, find_telescope, get_telescope, with_noise
from hoag.view_changes import Seen, Vectors, compare_views, see

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIELD = "cutout_arcsec"  # as `hoag data cutouts` writes it
_MEASURED, _LEAST, _SHOWN = 200, 20, 6  # pictures that tell noise, for a probe, on the page


def through_worse_telescopes(
    model: Model,
    galaxies: Galaxies,
    surveys: Sequence[str],
    targets: Sequence[str],
    known: Mapping[str, Telescope],
    *,
    field: float | str | None = None,
    most: int = 1000,
    neighbours: int = 10,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Degrade the galaxies of each survey to each telescope, and compare what a model says.

    Parameters
    ----------
    model
        With a vote head.
    galaxies
        What is seen, none of which the model should have learned from.
    surveys
        (n,) survey of each.
    targets
        Telescopes to see them through, by name.
    known
        Telescopes by name; galaxies of surveys that are not among them are left out, and said.
    field
        Side of the pictures on the sky in arcsec: a number for all, or the column that says it;
        None: the column ``cutout_arcsec``.
    most
        Most galaxies of a survey, the first in order.
    neighbours
        How many nearest neighbours are compared.
    seed
        Seed of the noise.

    Returns
    -------
    list of dict
        For each survey and target what `hoag.view_changes.compare_views` gives, with ``from``,
        ``to``, ``titles``, ``seeing`` of both, the target's ``pixel`` and ``noise`` (None: not
        known), ``pictures`` (``id``, ``before`` and ``after``) of a few galaxies, and
        ``told_apart``: accuracy of a probe between the target's own galaxies and those of the
        survey, ``before`` and ``after`` degradation, or None without enough galaxies of the target.

    Raises
    ------
    HoagError
        If a target is not known, is sharper than every survey here, or the pictures' scale is not
        known.
    """
    if most < 2:
        raise HoagError(f"degraded = {most}: to compare galaxies takes two or more of a survey")
    aims = list({each.name: each for each in (get_telescope(n, known) for n in targets)}.values())
    pictures = _Pictures(model, galaxies, surveys, known, fields_of(galaxies, field), most)
    pairs = pictures.pairs(aims)
    targets_with_noise = {aim.name: pictures.measured(aim) for aim in aims}
    own = {aim: pictures.own(aim) for aim in {aim for _, aim in pairs}}
    plain: dict[str, tuple[Seen, Seen]] = {}
    results = []
    for name, aim in progress(pairs, "degrading", unit="pairs of telescopes"):
        rows, source, target = pictures.rows(name), pictures.source(name), targets_with_noise[aim]
        part, images = galaxies.take(rows), pictures.of(rows)
        degraded = degrade(images, pictures.scales(rows), source, target, part.keys, seed=seed)
        if name not in plain:
            plain[name] = see(model, images), see(model, images[..., ::-1])
        (before, mirrored), after = plain[name], see(model, degraded)
        found = compare_views(model, part, before, after, mirrored, neighbours, seed)
        shown = zip(part.ids[:_SHOWN], images, degraded, strict=False)
        results.append(
            {
                "from": name, "to": aim, "titles": [source.title, target.title],
                "seeing": [source.seeing, target.seeing], "pixel": target.pixel,
                "noise": target.noise, "told_apart": _told_apart(part, before, after, own[aim]),
                "pictures": [
                    {"id": own, "before": one.transpose(1, 2, 0), "after": two.transpose(1, 2, 0)}
                    for own, one, two in shown
                ],
                **found,
            }
        )  # fmt: skip
    return results


@dataclass(frozen=True)
class _Pictures:
    """Pictures of galaxies, and which telescope took each."""

    model: Model
    galaxies: Galaxies
    surveys: Sequence[str]
    known: Mapping[str, Telescope]
    fields: Floats
    most: int

    def source(self, survey: str) -> Telescope:
        return get_telescope(survey, self.known)

    def rows(self, survey: str) -> Ints:
        return np.flatnonzero(np.asarray(self.surveys) == survey)[: self.most]

    def rows_by(self, telescope: str) -> Ints:
        """Galaxies that a telescope took itself, whatever their survey is called."""
        by = {name: find_telescope(name, self.known) for name in set(self.surveys)}
        own = {name for name, found in by.items() if found and found.name == telescope}
        return np.flatnonzero([name in own for name in self.surveys])[: self.most]

    def of(self, rows: Ints) -> Images:
        return self.galaxies.pixels(rows, self.model.recipe.images.stored)

    def scales(self, rows: Ints) -> Floats:
        return self.fields[rows] / self.model.recipe.images.stored

    def pairs(self, aims: Sequence[Telescope]) -> list[tuple[str, str]]:
        """Surveys and the telescopes that each can be seen through; of the others it is said."""
        pairs, reasons = [], []
        for name in dict.fromkeys(self.surveys):
            source = find_telescope(name, self.known)
            for aim in aims if source else ():
                assert source is not None
                if source.name == aim.name:
                    continue
                try:
                    check_degradable(source, aim)
                    pairs.append((name, aim.name))
                except HoagError as error:
                    reasons.append(str(error))
            if source is None:
                reasons.append(
                    f"galaxies of '{name}' are not degraded, as that telescope is not known; "
                    "describe it in a file for --telescopes"
                )
        if not pairs:
            nothing = "all galaxies here are of the telescope to degrade to; name another"
            raise HoagError(reasons[0] if reasons else nothing)
        for sentence in reasons:
            say(sentence)
        return pairs

    def measured(self, aim: Telescope) -> Telescope:
        """The telescope with its noise: as given, else as measured from its pictures here."""
        if aim.noise is not None:
            return aim
        rows = self.rows_by(aim.name)[:_MEASURED]
        if not len(rows):
            say(
                f"no pictures of {aim.title} are here to measure their noise, so none is added; "
                "give it as noise = ... in a file for --telescopes"
            )
            return aim
        return with_noise(aim, sky_noise(self.of(rows), self.scales(rows), aim))

    def own(self, aim: str) -> tuple[Vectors, NDArray[np.uint64]] | None:
        """Representations and groups of what a telescope took itself; None for too few."""
        rows = self.rows_by(aim)
        if len(rows) < _LEAST:
            return None
        return see(self.model, self.of(rows)).vectors, self.galaxies.take(rows).group_hashes


def _told_apart(
    part: Galaxies, before: Seen, after: Seen, own: tuple[Vectors, NDArray[np.uint64]] | None
) -> dict[str, dict[str, float]] | None:
    """Can a linear probe tell pictures from the target's own, before and after?"""
    if own is None or len(part) < _LEAST:
        return None
    vectors, theirs = own
    groups = np.concatenate([part.group_hashes, theirs])
    names = ["degraded"] * len(part) + ["own"] * len(vectors)
    found = {}
    for name, seen in (("before", before), ("after", after)):
        probe = probe_surveys(np.concatenate([seen.vectors, vectors]), names, groups)
        found[name] = {"accuracy": probe["accuracy"], "error": probe["error"]}
    return found


def fields_of(galaxies: Galaxies, field: float | str | None = None) -> Floats:
    """Side of each picture on the sky, (n,) arcsec.

    Raises
    ------
    HoagError
        If it is not known, or not a positive number.
    """
    if isinstance(field, int | float):
        sides = np.full(len(galaxies), float(field))
        where = f"field = {field:g}"
    else:
        name = field or FIELD
        if field is None and name not in galaxies.columns:
            raise HoagError(
                f"how large the pictures are on the sky is not known: there is no column '{FIELD}' "
                "(hoag data cutouts writes it); give --field, their side in arcsec or the column "
                "that says it"
            )
        require_columns(galaxies.columns, [name], "the galaxies")
        where = f"column '{name}'"
        try:
            values = galaxies.select([name])[name].to_pylist()
            sides = np.array([np.nan if v is None else float(v) for v in values])
        except (TypeError, ValueError):
            raise HoagError(f"{where}: sides of pictures are numbers of arcsec") from None
    wrong = np.flatnonzero(~(np.isfinite(sides) & (sides > 0)))
    if len(wrong):
        row = int(wrong[0])
        raise HoagError(
            f"{where}: galaxy '{galaxies.ids_of([row])[0]}' has {sides[row]:g} arcsec; the side of "
            "a picture is a positive number"
        )
    return sides
