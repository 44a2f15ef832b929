"""``hoag search``: more galaxies like these, by id, by an image file or by a table of examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import write_table
from hoag.conditions import parse_conditions, rows_where
from hoag.console import say
from hoag.embedding import ID
from hoag.errors import HoagError
from hoag.half_vectors import Floats, Ints, Vectors
from hoag.joining_ids import read_catalogue, rows_in, with_columns
from hoag.nearest import MANY, ApproximateIndex, Nearest, nearest, units
from hoag.opening_vectors import open_vectors
from hoag.pages import render, write_page
from hoag.provenance import full_stamp
from hoag.search_examples import read_examples
from hoag.sought import GivenLabels
from hoag.thumbnails import GivenGalaxies, jpeg_uris, opened, pictures_of, strip

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.models import Model

NEGATIVE_WEIGHT = 0.5
"""How much the mean of the counterexamples is taken off the mean of the examples (Rocchio 1971)."""

_THUMBNAIL, _SHOWN = 128, 400  # pixels; galaxies on a page at most


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    table
        ``rank`` from 1, ``id_str``, ``similarity`` (cosine, -1 to 1), then the catalogue's columns.
    examples, counterexamples
        Ids that were searched by; an image file stands with its name.
    about
        How it was made: embeddings, model, filter, whether exact.
    galaxies
        Where pictures come from, if they were given.
    """

    table: pa.Table
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]
    about: dict[str, Any]
    galaxies: GivenGalaxies | None = field(default=None, repr=False)

    @property
    def ids(self) -> list[str]:
        """Ids found, nearest first."""
        return list(self.table[ID].to_pylist())

    def write(self, path: str | Path) -> Path:
        """Write the table, in the format its suffix says, and a gallery beside it, ``NAME.html``.

        A path that ends in .html writes the gallery alone.

        Returns
        -------
        pathlib.Path
            The page.
        """
        path = Path(path)
        page = self.page()
        if path.suffix.lower() not in (".html", ".htm"):
            write_table(self.table, path, stamp={**full_stamp(), **self.about})
            path = path.with_suffix(".html")
        return write_page(path, page)

    def page(self) -> str:
        """HTML of the gallery, which needs nothing from outside itself."""
        columns = [n for n in self.table.column_names if n not in ("rank", ID, "similarity")]
        found = self.table.slice(0, _SHOWN).to_pylist()
        names = [*self.examples, *self.counterexamples]
        images = self._images([*names, *(row[ID] for row in found)])
        return render(
            "search.html.j2", found=found, images=images, columns=columns, total=len(self.table),
            examples=self.examples[:48], counterexamples=self.counterexamples[:48],
            about=self.about, many=len(self.examples),
        )  # fmt: skip

    def _images(self, ids: Sequence[str]) -> dict[str, str]:
        from hoag.images import decode

        image = self.about["image"]
        own = {} if image is None else {Path(image).name: decode(image, _THUMBNAIL)}
        if self.galaxies is not None:
            own |= pictures_of(self.galaxies, [i for i in ids if i not in own], _THUMBNAIL)
        return jpeg_uris(own)

    def _repr_html_(self) -> str:
        rows = self.table.slice(0, 24).to_pylist()
        images = self._images([row[ID] for row in rows])
        items = [
            {"id": r[ID], "image": images.get(r[ID]), "note": f"{r['rank']}. {r['similarity']:.3f}"}
            for r in rows
        ]
        return f"<p>{escape(repr(self))}</p>" + strip(items)

    def __repr__(self) -> str:
        count = len(self.examples)
        shown = f"'{self.examples[0]}'" if count == 1 else f"{count} examples"
        return f"SearchResult({len(self.table):,} galaxies most like {shown})"


def search(
    embeddings: str | Path | pa.Table | Vectors,
    id: str | Sequence[str] | None = None,  # noqa: A002  # the word that users know
    *,
    image: str | Path | None = None,
    model: str | Path | Model | None = None,
    examples: GivenLabels | None = None,
    label: str | None = None,
    negatives: GivenLabels | Sequence[str] | None = None,
    where: str | None = None,
    catalogue: str | Path | pa.Table | None = None,
    galaxies: GivenGalaxies | None = None,
    top: int = 200,
    approximate: bool | None = None,
    key: str = ID,
) -> SearchResult:
    """Find the galaxies most like some that you have.

    The query is the mean of the examples' vectors, each of length 1, so that none outweighs the
    others: the mean of some 15 retrieves rare kinds far better than one (AION-1). Half the mean of
    the counterexamples is taken off it. The examples themselves are not among what is found.

    Parameters
    ----------
    embeddings
        File or table of ids and vectors.
    id
        One id or several.
    image
        A JPEG or PNG, cut out as the embedded galaxies were; needs `model`.
    model
        What embedded the galaxies: a run's folder, or a loaded model. Another model is refused.
    examples
        Table of ids, all of them examples; or with a column ``label`` of yes and no.
    label
        Name of that column, if another.
    negatives
        Table of ids, or ids, of what is not looked for.
    where
        Condition on the catalogue's columns, such as ``'z < 0.1 and survey == "DECaLS"'``.
    catalogue
        Table joined by id, whose columns are put beside what is found; else that of `galaxies`.
    galaxies
        Where pictures for the gallery come from.
    top
        How many to find.
    approximate
        Use an index (the extra ``index``), and measure its recall. None: above 20 million galaxies.
    key
        Column of ids in `examples`, `negatives` and `catalogue`.

    Raises
    ------
    HoagError
        If nothing to search by was given, an id is unknown, the model is another, or no galaxy
        meets the condition.
    """
    if top < 1:
        raise HoagError(f"top = {top}: at least 1 galaxy must be asked for")
    vectors = open_vectors(embeddings)
    store = None if galaxies is None else opened(galaxies)
    positive, negative = read_examples(id, examples, negatives, key, label)
    rows, less = vectors.require(positive), vectors.require(negative)
    parts = [units(vectors.take(rows))]
    if image is not None:
        parts.append(units(_of_image(image, model, vectors)))
        positive = (*positive, Path(image).name)
    elif model is not None:
        raise HoagError("a model is only needed for an image; give --image too, or leave it out")
    if not positive:
        raise HoagError("nothing to search by; give an id, an image or a table of examples")
    query = _query(np.concatenate(parts), units(vectors.take(less)))
    joined = _catalogue(catalogue, store, key)
    allowed = _allowed(vectors, joined, where, np.concatenate([rows, less]))
    found = _look(vectors, query, min(top, int(allowed.sum())), allowed, approximate)
    about = {
        "embeddings": vectors.source, "model": vectors.stamp.get("model"), "where": where,
        "galaxies": len(vectors), "searched": int(allowed.sum()),
        "image": None if image is None else str(image), **found.about,
    }  # fmt: skip
    table = with_columns(_table(vectors, found.nearest), joined)
    return SearchResult(table, positive, negative, about, store)


@dataclass(frozen=True)
class _Looked:
    nearest: Nearest
    about: dict[str, Any]


def _of_image(image: str | Path, model: str | Path | Model | None, vectors: Vectors) -> Floats:
    """Embed an image file as the table's galaxies were; (1, dim), standardised."""
    import pyarrow as pa

    from hoag.embedding import vectors as vectors_of
    from hoag.loading import load
    from hoag.opening import galaxies_of_table
    from hoag.schema import load_schema
    from hoag.stores import ImageFiles

    if model is None:
        raise HoagError(f"{image}: give the model that made the embeddings too (--model)")
    if not Path(image).is_file():
        raise HoagError(f"{image}: no such image file")
    at = vectors.stamp.get("size")
    loaded = load(model, size=at) if isinstance(model, str | Path) else model
    vectors.check_model(loaded.hash, "the model given", loaded.recipe.images.size)
    path = Path(image).resolve()
    table = pa.table({ID: [path.name], "file_loc": [path.name]})
    one = galaxies_of_table(
        table, ImageFiles(path.parent, [path.name]), str(image), load_schema("gz-evo")
    )
    made = loaded.embed(one, symmetries=vectors.stamp.get("symmetries", 1), quiet=True)
    return vectors.standardise(vectors_of(made))


def _query(like: Floats, unlike: Floats) -> Floats:
    mean = like.mean(axis=0, keepdims=True)
    if len(unlike):
        mean = mean - NEGATIVE_WEIGHT * unlike.mean(axis=0, keepdims=True)
    if not np.linalg.norm(mean) > 0:
        raise HoagError("the examples' vectors cancel out; leave one of them out")
    return units(mean)


def _catalogue(
    catalogue: str | Path | pa.Table | None, store: Any | None, key: str
) -> pa.Table | None:
    if catalogue is not None:
        return read_catalogue(catalogue, key)
    if store is None:
        return None
    # Votes are hundreds of columns that nobody wants beside what was found.
    votes = set(store.schema.columns)
    return read_catalogue(store.select([name for name in store.columns if name not in votes]))


def _allowed(
    vectors: Vectors, catalogue: pa.Table | None, where: str | None, examples: Ints
) -> NDArray[np.bool_]:
    """Rows that may be found: those that meet the condition, without the examples."""
    allowed = np.ones(len(vectors), bool)
    if where:
        if catalogue is None:
            raise HoagError("a condition needs columns; give a table of them with --catalogue")
        meets = rows_where(catalogue, parse_conditions(where, "where"), "the catalogue")
        rows = rows_in(catalogue, vectors.names)
        allowed = (rows >= 0) & meets[rows]
        if not (rows >= 0).any():
            raise HoagError("the catalogue shares no id with the embeddings; join by the same ids")
        if not (rows >= 0).all():
            say(f"{int((rows < 0).sum()):,} embedded galaxies are not in the catalogue")
    allowed[examples] = False
    if not allowed.any():
        raise HoagError(
            f"no galaxy but the examples meets the condition {where!r}; widen it"
            if where
            else "there is no galaxy but the examples; embed more"
        )
    return allowed


def _look(
    vectors: Vectors, query: Floats, top: int, allowed: NDArray[np.bool_], approximate: bool | None
) -> _Looked:
    if approximate or (approximate is None and len(vectors) > MANY):
        source = Path(vectors.source)
        place = source.with_suffix(".usearch") if source.is_file() else None
        index = ApproximateIndex(vectors, place)
        recall = index.measure_recall()
        return _Looked(index.nearest(query, top, allowed), {"exact": False, "recall": recall})
    return _Looked(nearest(vectors, query, top, allowed), {"exact": True})


def _table(vectors: Vectors, found: Nearest) -> pa.Table:
    import pyarrow as pa

    rows = found.rows[0][found.rows[0] >= 0]
    return pa.table(
        {
            "rank": pa.array(np.arange(1, len(rows) + 1), pa.int32()),
            ID: pa.array(vectors.ids_at(rows), pa.string()),
            "similarity": pa.array(found.similarities[0][: len(rows)], pa.float32()),
        }
    )
