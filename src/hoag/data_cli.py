"""``hoag data``: galaxies fetched, looked at, joined into one GZ-Evo, checked and shared."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from hoag.errors import HoagError

data_app = App(
    name="data",
    help="Galaxies: fetch published sets, cut out images, join them into one GZ-Evo.\n\n"
    "Start with `hoag data build`; a folder of images is enough.",
)

Named = Annotated[list[str] | None, Parameter(negative=())]


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Take NAME=VALUE apart, each name once."""
    found: dict[str, str] = {}
    for text in given or []:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise HoagError(f"{option} {text}: write it as {option} NAME=VALUE")
        if name in found:
            raise HoagError(f"{option} {text}: '{name}' is given twice; keep one")
        found[name] = value
    return found


@data_app.command
def build(
    out: Path, /, *, campaign: Named = None, unlabelled: Named = None, downstream: Named = None,
    images: Named = None, survey: Named = None, sources: Path | None = None,
    schema: list[str] | None = None, stretch: str = "auto", bands: Named = None, name: str = "",
    size: int = 128, quality: int = 95, workers: int | None = None,
) -> None:  # fmt: skip
    """Join galaxies, votes and labels of several places into one set to train on.

    Every image is resized once, a galaxy that several campaigns saw becomes one, images of one sky
    object share a group, and what cannot be used is set aside with the reason. The folder has a
    dataset.toml, so `hoag train` and `hoag reproduce` take it as it is. Stopped at any moment, the
    same command goes on.

        hoag data build evo --campaign gz2=gz2_hart16.csv --images gz2=cutouts \
            --unlabelled more_images --downstream rings=rings.csv

    Parameters
    ----------
    out
        Folder of the set, made whole or not at all.
    campaign
        NAME=PLACE, once for each: votes as published or with hoag's columns (gz2, dr12, dr5, dr8,
        hubble, candels, or a campaign of your own); a table or a folder of tables.
    unlabelled
        Galaxies without votes: a table, a folder of tables, or a folder of images alone.
    downstream
        NAME=TABLE or NAME=TABLE:COLUMN: labels of a task. Galaxies that it is tested on stay out
        of the pretraining tables.
    images
        NAME=FOLDER: image files, named by id, of a source whose table has none.
    survey
        NAME=SURVEY of a source whose table does not say.
    sources
        A TOML file that says all of this, with more settings for each source.
    schema
        The questions of the votes, if not GZ-Evo's: e.g. --schema gz-evo --schema mine.toml
    stretch
        How FITS images become pictures; see `hoag data preview`.
    bands
        Extensions or planes of FITS images that become red, green and blue.
    name
        Name of the set; the folder's if not given.
    size
        Side of the images in pixels.
    quality
        JPEG quality. Images that have the size already are kept as they are.
    workers
        Processes; one for each core if not given.
    """
    from hoag.data.building import build as run
    from hoag.data.fits_images import FitsSettings

    print(
        run(
            out, campaigns=pairs("--campaign", campaign), unlabelled=unlabelled or (),
            downstream=pairs("--downstream", downstream), images=pairs("--images", images),
            surveys=pairs("--survey", survey), sources=sources, schema=schema,
            fits=FitsSettings(stretch=stretch, bands=tuple(bands or ())), name=name, size=size,
            quality=quality, workers=workers,
        )
    )  # fmt: skip
