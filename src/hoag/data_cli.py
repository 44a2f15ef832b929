"""``hoag data``: galaxies fetched, looked at, joined into one GZ-Evo, checked and shared."""

from pathlib import Path
from typing import Annotated, Literal

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

        hoag data build evo --campaign gz2=gz2_hart16.csv --images gz2=cutouts --unlabelled more

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


@data_app.command
def get(
    name: str = "", out: Path | None = None, /, *, list_: Annotated[
        bool, Parameter(name="--list", negative=())] = False,
    files: Named = None, revision: str | None = None, sha256: str | None = None,
    endpoint: str | None = None, token: str | None = None,
) -> None:  # fmt: skip
    """Fetch a published data set: from the Hugging Face Hub, or a vote table by its URL.

    Interrupted, the same command goes on. Licence, citation and checksums are kept beside the data.

    Parameters
    ----------
    name
        A name of `hoag data get --list`, a Hub id such as mwalmsley/gz_evo, or the URL of a file.
    out
        Folder for it; the name's last part if not given.
    list_
        List what has a name.
    files
        Patterns of the files wanted, such as data/test-*; all if not given.
    revision
        Branch, tag or commit of a Hub data set.
    sha256
        Checksum that a file by URL must have.
    endpoint
        Another server that speaks the Hub's protocol.
    token
        Token for gated and private sets; else the one you are logged in with.
    """
    from hoag.data.registry import list_sets

    if list_ or not name:
        for one in list_sets():
            print(f"{one.name:<22}{one.title}")
        return
    from hoag.data.getting import get as fetch

    place = out or Path(name.rstrip("/").rpartition("/")[2])
    print(
        fetch(
            name, place, files=files, revision=revision, endpoint=endpoint, token=token,
            sha256=sha256,
        )
    )  # fmt: skip


@data_app.command
def votes(
    table: Path, out: Path, /, *, campaign: str, schema: list[str] | None = None
) -> None:  # fmt: skip
    """Turn a campaign's vote table, as published, into hoag's columns, and check it.

    Writes ids, places and one column of counts for each answer, and prints what was found: rows
    set aside, questions with more votes than their parents allow, the largest rounding.

    Parameters
    ----------
    table
        The table as published: Parquet, CSV, FITS or VOTable, gzipped if you like.
    out
        The table to write; its suffix says the format.
    campaign
        gz2, dr12, dr5, dr8, hubble, candels, or rings for labels.
    schema
        The questions of the votes, if not GZ-Evo's: e.g. --schema gz-evo --schema mine.toml
    """
    from hoag.catalogue import write_table
    from hoag.data.published import read_votes
    from hoag.schema import load_schema

    found, checks = read_votes(table, campaign, load_schema(schema or "gz-evo"))
    write_table(found, out)
    print("\n".join([*checks.lines(), str(out)]))


@data_app.command
def cutouts(
    catalogue: Path, /, *, survey: str, out: Path, form: Literal["jpeg", "fits"] = "jpeg",
    pixels: int = 424, size_arcsec: float | None = None, radius: str | None = None,
    radii: float = 8.48, ra: str | None = None, dec: str | None = None,
    id_column: str | None = None, hips: str | None = None, server: str | None = None,
    per_second: float = 4.0, connections: int = 4, retries: int = 5, timeout: float = 60.0,
) -> None:  # fmt: skip
    """Fetch an image of every galaxy of a catalogue of positions.

    Images come from the HiPS cutout service of the CDS (install it with: pip install
    'hoag[cutouts]'), politely, and those that are there already are not asked for again. Failed
    rows are listed in OUT/failed/failed.csv. What is written is ready for `hoag data build`.

    Parameters
    ----------
    catalogue
        Table with ids, and right ascensions and declinations in degrees.
    survey
        legacy, sdss, panstarrs, hsc, hst or euclid.
    out
        Folder for images and the catalogue.
    form
        The survey's colour picture, or its bands as FITS.
    pixels
        Side of the images in pixels.
    size_arcsec
        Side of the images on the sky, one for all.
    radius
        Column with each galaxy's radius, in arcsec unless the table states a unit.
    radii
        Side of an image in those radii.
    ra
        Column of right ascension, if it is not found by itself.
    dec
        Column of declination.
    id_column
        Column of ids.
    hips
        Another HiPS than the survey's.
    server
        Another hips2fits service than the CDS's.
    per_second
        Requests a second at most.
    connections
        Requests at once at most.
    retries
        How often a request that failed is repeated.
    timeout
        Seconds to wait for an answer.
    """
    from hoag.data.cutouts import cutouts as fetch

    print(
        fetch(
            catalogue, out, survey=survey, form=form, pixels=pixels, size_arcsec=size_arcsec,
            radius=radius, radii=radii, ra=ra, dec=dec, id_column=id_column, hips=hips,
            server=server, per_second=per_second, connections=connections, retries=retries,
            timeout=timeout,
        )
    )  # fmt: skip


@data_app.command
def preview(
    *files: Path, out: Path = Path("preview.png"), stretch: Named = None, bands: Named = None,
    extension: str = "", mask: str = "",
) -> None:  # fmt: skip
    """Draw FITS images under several stretches, to choose one by eye.

    Parameters
    ----------
    files
        FITS, JPEG or PNG images, 40 at most.
    out
        The picture: .png, .svg or .pdf.
    stretch
        Stretches to show; all if none is named.
    bands
        Extensions or planes that are red, green and blue.
    extension
        Extension with the image, by name or number.
    mask
        Extension that is not 0 where a pixel is bad.
    """
    from hoag.data.fits_images import FitsSettings
    from hoag.data.preview import preview as draw

    settings = FitsSettings("auto", tuple(bands or ()), extension, mask)
    print(draw(files, out, names=stretch or (), settings=settings))


@data_app.command
def report(folder: Path, /, *, out: Path | None = None) -> None:
    """Write a page on a built set: galaxies, votes, sky, pictures, duplicates, what was set aside.

    Parameters
    ----------
    folder
        A folder that `hoag data build` made.
    out
        The page; FOLDER/report.html if not given.
    """
    from hoag.data.report import write_data_report

    print(write_data_report(folder, out))


@data_app.command
def verify(folder: Path, /, *, full: bool = False) -> None:
    """Check a built set: every shard, hash, id, vote, label and split.

    Exits with status 1, and a line for each problem, if anything is wrong.

    Parameters
    ----------
    folder
        A folder that `hoag data build` made.
    full
        Decode every image, not a sample.
    """
    from hoag.data.verify import verify as check

    problems = check(folder, full=full)
    print("\n".join(problems) or f"{folder}: nothing is wrong")
    if problems:
        raise SystemExit(1)


@data_app.command
def push(
    folder: Path, repo_id: str, /, *, public: Annotated[bool, Parameter(negative=())] = False,
    message: str | None = None, endpoint: str | None = None, token: str | None = None,
) -> None:  # fmt: skip
    """Upload a built set to the Hugging Face Hub, with its card; private unless you say otherwise.

    Parameters
    ----------
    folder
        A folder that `hoag data build` made.
    repo_id
        Where to: yourname/my-survey.
    public
        Let everybody see it.
    message
        Message of the commit.
    endpoint
        Another server that speaks the Hub's protocol.
    token
        Token that may write; else the one you are logged in with.
    """
    from hoag.data.pushing import push as send

    print(
        send(
            folder, repo_id, private=not public, endpoint=endpoint, token=token, message=message
        )
    )  # fmt: skip
