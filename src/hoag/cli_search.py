"""The verbs ``search``, ``map`` and ``find`` of the command line."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Many = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]


def search(
    embeddings: Path, /, *, id: Many = None, image: Path | None = None,  # noqa: A002
    model: Path | None = None, examples: Path | None = None, label: str | None = None,
    negatives: Path | None = None, where: str | None = None, catalogue: Path | None = None,
    galaxies: str | None = None, top: int = 200, approximate: bool | None = None,
    key: str = "id_str", out: Path | None = None,
) -> None:  # fmt: skip
    """Find the galaxies most like some that you have.

    By id, by an image file, or by a table of examples; several are averaged, which finds rare kinds
    far better than one. Writes a table and beside it a page with pictures, NAME.html.

    Parameters
    ----------
    embeddings
        Table of id_str and vectors, as `hoag embed` writes it.
    id
        One id or several.
    image
        A JPEG or PNG, cut out as the embedded galaxies were; needs --model.
    model
        The run that made the embeddings; another is refused.
    examples
        Table of ids; with a column `label` of yes and no, those labelled no are counterexamples.
    label
        Column of yes and no in EXAMPLES, if it has another name.
    negatives
        Table of ids of what is not looked for.
    where
        Condition on the catalogue's columns: 'z < 0.1 and survey == "DECaLS"'
    catalogue
        Table joined by id; its columns go into the result. That of --galaxies if not given.
    galaxies
        Where the pictures are: a table of galaxies, or a folder of them.
    top
        How many to find.
    approximate
        Use an index and print its measured recall (pip install 'hoag[index]'); by default above 20
        million galaxies.
    key
        Column of the ids in EXAMPLES, NEGATIVES and CATALOGUE.
    out
        The table to write: .parquet, .csv, .fits or .vot. Without it the first 20 are printed.
    """
    from hoag.catalogue import suffix_of
    from hoag.files import check_place
    from hoag.searching import search as look

    if out is not None:
        if out.suffix.lower() not in (".html", ".htm"):
            suffix_of(out)
        check_place(out, embeddings, image, examples, negatives, catalogue, galaxies)
    found = look(
        embeddings, id, image=image, model=model, examples=examples, label=label,
        negatives=negatives, where=where, catalogue=catalogue, galaxies=galaxies, top=top,
        approximate=approximate, key=key,
    )  # fmt: skip
    if out is not None:
        print(found.write(out))
        return
    for row in found.table.slice(0, 20).to_pylist():
        print(f"{row['rank']:>6}  {row['similarity']:.4f}  {row['id_str']}")


def map_verb(
    embeddings: Path, out: Path, /, *, method: Literal["pca", "umap"] = "pca",
    colour: str | None = None, catalogue: Path | None = None, galaxies: str | None = None,
    thumbnails: int = 2000, key: str = "id_str", seed: int = 0,
) -> None:  # fmt: skip
    """Lay galaxies out in the plane: a picture, a page to explore, a table for embedding-atlas.

    Parameters
    ----------
    embeddings
        Table of id_str and vectors.
    out
        Folder for map.png, map.html and atlas.parquet.
    method
        pca, at once, or umap, which keeps neighbours together (pip install 'hoag[map]').
    colour
        Column of the catalogue that colours the points.
    catalogue
        Table joined by id. That of --galaxies if not given.
    galaxies
        Where the pictures are: a table of galaxies, or a folder of them.
    thumbnails
        How many pictures the page holds at most, some 3 kB each.
    key
        Column of the ids in CATALOGUE.
    seed
        Of umap.
    """
    from hoag.atlas import map_galaxies
    from hoag.files import check_place

    check_place(out, folder=True)
    made = map_galaxies(
        embeddings, method=method, colour=colour, catalogue=catalogue, galaxies=galaxies,
        thumbnails=thumbnails, key=key, seed=seed,
    )  # fmt: skip
    print(made.write(out))


def find(
    embeddings: Path, labels: Path, out: Path, /, *, label: str | None = None,
    target: str | None = None, kind: Literal["yes or no", "classes", "numbers"] | None = None,
    prior: Many = None, suggest: int = 20,
    want: Literal["uncertain", "diverse", "top"] = "uncertain", catalogue: Path | None = None,
    galaxies: str | None = None, key: str = "id_str", seed: int = 0,
) -> None:  # fmt: skip
    """Rank all galaxies by a few labels, and say what to expect of the ranking.

    Writes the ranked catalogue and beside it NAME.html (the top, purity and completeness, what more
    labels would bring), NAME.json, and NAME-next.csv: what to label next.

    Parameters
    ----------
    embeddings
        Table of id_str and vectors, as `hoag embed` writes it.
    labels
        Table of ids and yes or no, several classes, or numbers; rows without a label are left out.
    out
        The catalogue to write: .parquet, .csv, .fits or .vot.
    label
        Column of the labels; `label`, or the only one beside the ids, if not given.
    target
        The class that is looked for, all others being no.
    kind
        What the labels are, where they could be read in two ways.
    prior
        Share of yes among all the galaxies, 0.02 say, if the labelled were picked by class; for
        several classes NAME=SHARE each. Without it the labels' shares are taken as those of all.
    suggest
        How many galaxies to suggest for labelling next.
    want
        Suggest those in doubt, those unlike all labelled, or the highest ranked.
    catalogue
        Table joined by id; its columns go into the result. Images of one sky object, by its
        columns group or ra and dec (or those of GALAXIES or EMBEDDINGS), count as one label.
    galaxies
        Where the pictures are: a table of galaxies, or a folder of them.
    key
        Column of the ids in LABELS and CATALOGUE.
    seed
        Draws folds, subsets and resamplings.
    """
    from hoag.catalogue import suffix_of
    from hoag.files import check_place
    from hoag.finding import find as look

    suffix_of(out)
    check_place(out, embeddings, labels, catalogue, galaxies)
    found = look(
        embeddings, labels, label=label, key=key, target=target, kind=kind, prior=_shares(prior),
        suggest=suggest, want=want, catalogue=catalogue, galaxies=galaxies, seed=seed,
    )  # fmt: skip
    page = found.write(out)
    print(found)
    print(page)


def _shares(given: list[str] | None) -> float | dict[str, float] | None:
    """Read ``0.02`` or ``spiral=0.3 merger=0.01``."""
    from hoag.errors import HoagError

    if not given:
        return None
    try:
        if len(given) == 1 and "=" not in given[0]:
            return float(given[0])
        pairs = [part.rpartition("=") for part in given]
        return {name: float(share) for name, _, share in pairs}
    except ValueError:
        raise HoagError(
            f"--prior {' '.join(given)} is no share; write 0.02, or NAME=0.3 for each class"
        ) from None
