"""Verbs about votes: ``hoag predict``, ``hoag calibrate`` and ``hoag surveys``."""

from pathlib import Path
from typing import Literal

from hoag.cli_options import Device
from hoag.errors import HoagError


def predict(
    model: Path, galaxies: str, out: Path, /, *, also: list[Path] | None = None,
    campaign: str = "own", volunteers: str = "40", symmetries: Literal[1, 8] = 1,
    level: float = 0.9, keep: list[str] | None = None, which: Literal["best", "last"] = "best",
    device: Device = "auto",
) -> None:  # fmt: skip
    """Predict what volunteers would say: a catalogue of vote fractions with their intervals.

    For each answer the expected fraction of volunteers, its interval and that of the votes; for
    each question the probability that it is asked, and the entropy of its answer in bits. A model
    of `hoag finetune` predicts what it has learned instead: probabilities of classes, numbers with
    their scatter. Stop it whenever you like: the same command goes on where it was.

    Parameters
    ----------
    model
        Folder of a run.
    galaxies
        A table of galaxies, or a folder of them.
    out
        The catalogue to write: .parquet, .csv, .fits or .vot.
    also
        A further run whose beliefs are mixed in; may be repeated.
    campaign
        Whose questions: own (each galaxy's own), all, or one such as gz2.
    volunteers
        How many are asked each question, for the intervals of votes; own: as many as each galaxy
        had.
    symmetries
        8 averages over flips and right-angle rotations.
    level
        Probability inside the intervals.
    keep
        A column of the galaxies to keep; may be repeated. All but votes if none is named.
    which
        The best or the last checkpoint of the run.
    device
        Where to compute.
    """
    from hoag.asking import predict as ask

    print(
        ask(
            [model, *(also or [])], galaxies, out, campaign=campaign, volunteers=volunteers,
            symmetries=symmetries, level=level, keep=keep, which=which, device=device,
        )
    )  # fmt: skip


def calibrate(
    model: Path, galaxies: str, out: Path, /, *, by: list[str] | None = None, where: str = "",
    symmetries: Literal[1, 8] = 1, store: bool = True, seed: int = 0,
    which: Literal["best", "last"] = "best", device: Device = "auto",
) -> None:  # fmt: skip
    """Test predicted votes on held-out ones, and fit a temperature for each question.

    Fits on the votes of the val split, judges on those of the test split, and writes a page,
    calibration.html, and its numbers. The temperatures are kept beside the model's weights, where
    `hoag predict` finds them.

    Parameters
    ----------
    model
        Folder of a run.
    galaxies
        What it was trained on: a table of galaxies, a folder, or a folder with a dataset.toml.
    out
        Folder for calibration.html and calibration.json.
    by
        A column to judge by, such as redshift or source; may be repeated. Survey always is.
    where
        Conditions that galaxies have to meet, e.g. 'source == "hart16"'.
    symmetries
        8 averages over flips and right-angle rotations.
    store
        Keep the temperatures with the model; --no-store only looks.
    seed
        Seed of the randomised PIT.
    which
        The best or the last checkpoint of the run.
    device
        Where to compute.
    """
    from hoag.asking import calibrate as judge

    print(
        judge(
            model, galaxies, out, by=by or (), where=where, symmetries=symmetries, seed=seed,
            store=store, which=which, device=device,
        )
    )  # fmt: skip
    print(out / "calibration.html")


def surveys(
    model: Path, galaxies: str, out: Path, /, *, column: str = "survey", neighbours: int = 10,
    redrawn: int = 200, telescope: str | None = None, degrade_to: list[str] | None = None,
    telescopes: Path | None = None, field: str | None = None, degraded: int = 1000, seed: int = 0,
    which: Literal["best", "last"] = "best", device: Device = "auto",
) -> None:  # fmt: skip
    """See what a model makes of the telescope: is the survey in its representation?

    On the test split of galaxies of several surveys: can a linear probe read the survey, how do
    neighbours mix, is each survey's calibration alike; for simulated galaxies, what changes when
    the same ones are seen through another telescope; and for any, real ones too, what changes when
    their pictures are degraded to one with worse seeing. Writes surveys.html and its numbers.

        hoag surveys run decals.parquet page --telescope DECaLS --degrade-to SDSS --field 60

    Seeing, pixels and noise of SDSS, DECaLS, MzLS/BASS, HST, Pan-STARRS and Euclid are known. It
    is done to pictures that have lost their fluxes, so only nearly right; where galaxies of the
    telescope itself are there, their noise is measured, and a probe tries to tell the two apart.

    Parameters
    ----------
    model
        Folder of a run.
    galaxies
        A table of galaxies, a folder, or a folder with a dataset.toml.
    out
        Folder for surveys.html and surveys.json.
    column
        Says which survey each galaxy is from.
    neighbours
        How many nearest neighbours are looked at.
    redrawn
        Simulated galaxies of each survey that are seen through the others; 0: none.
    telescope
        Survey of galaxies of which COLUMN says none, such as DECaLS.
    degrade_to
        A telescope to see the galaxies through, such as SDSS; may be repeated. One with better
        seeing than theirs is refused: nothing is ever sharpened.
    telescopes
        A TOML file with telescopes of your own: [telescopes.NAME], then pixel and seeing (FWHM) in
        arcsec, and noise of the sky in a pixel, 0 to 1, if known.
    field
        Side of the pictures on the sky in arcsec, or the column that says it; cutout_arcsec, as
        `hoag data cutouts` writes it, if not given.
    degraded
        Most galaxies of a survey that are degraded.
    seed
        Seed of the noise that is added to them.
    which
        The best or the last checkpoint of the run.
    device
        Where to compute.
    """
    from hoag.calibrating import open_held_out
    from hoag.files import check_place
    from hoag.loading import load
    from hoag.surveying import compare_surveys, summary_sentences

    if neighbours < 1:
        raise HoagError(f"--neighbours {neighbours}: look at 1 neighbour or more")
    check_place(out, folder=True)
    loaded = load(model, which=which, device=device)
    opened = open_held_out(galaxies, loaded.schema)
    results = compare_surveys(
        loaded, opened, out, column=column, neighbours=neighbours, redrawn=redrawn,
        telescope=telescope, degrade_to=degrade_to or (), telescopes=telescopes,
        field=_number_or_name(field), degraded=degraded, seed=seed,
    )  # fmt: skip
    print("\n".join(summary_sentences(results)))
    print(out / "surveys.html")


def _number_or_name(given: str | None) -> float | str | None:
    try:
        return None if given is None else float(given)
    except ValueError:
        return given
