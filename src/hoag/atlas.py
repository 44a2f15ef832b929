"""``hoag map``: galaxies laid out by their representations, as a picture, a page and a table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import require_columns
from hoag.console import say
from hoag.embedding import ID
from hoag.errors import HoagError
from hoag.figure_style import png_bytes
from hoag.files import written_whole
from hoag.half_vectors import Vectors
from hoag.images import Pixels, encode_jpeg
from hoag.joining_ids import read_catalogue, with_columns
from hoag.map_figure import Shade, map_figure, shade_of
from hoag.nearest import units
from hoag.opening_vectors import open_vectors
from hoag.pages import render, write_page
from hoag.projections import Method, Projection, project
from hoag.provenance import full_stamp
from hoag.thumbnails import GivenGalaxies, jpeg_uris, opened, pictures_of

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

_ON_PAGE = 50_000  # points drawn on the page at most
_NEIGHBOURS, _WITH_NEIGHBOURS = 15, 20_000  # in the table, for so many galaxies at most
_WITH_IMAGES = 20_000  # galaxies whose pictures go into the table at most


@dataclass(frozen=True)
class Atlas:
    """A map of galaxies.

    Attributes
    ----------
    table
        ``id_str``, ``projection_x``, ``projection_y``, then the catalogue's columns.
    axes
        What the two axes are called.
    vectors
        What was laid out.
    about
        How it was made.
    colour
        Column of the table that colours the points.
    thumbnails
        How many pictures the page holds at most.
    galaxies
        Where they come from, if given.
    """

    table: pa.Table
    axes: tuple[str, str]
    vectors: Vectors = field(repr=False)
    about: dict[str, Any]
    colour: str | None = None
    thumbnails: int = 2000
    galaxies: GivenGalaxies | None = field(default=None, repr=False)

    @property
    def places(self) -> NDArray[np.float32]:
        """(galaxies, 2) float32, in the order of the table."""
        columns = (self.table["projection_x"], self.table["projection_y"])
        return np.stack([np.asarray(column, np.float32) for column in columns], axis=1)

    def write(self, folder: str | Path) -> Path:
        """Write ``map.png``, the page ``map.html`` and, for embedding-atlas, ``atlas.parquet``.

        Returns
        -------
        pathlib.Path
            The page.
        """
        import pyarrow.parquet as pq

        folder = Path(folder)
        if folder.suffix or folder.is_file():
            raise HoagError(f"{folder}: a map is a folder of three files; name a folder")
        with written_whole(folder / "map.png") as temporary:
            temporary.write_bytes(png_bytes(self.plot()))
        table = self.atlas_table()
        with written_whole(folder / "atlas.parquet") as temporary:
            pq.write_table(table, temporary)
        options = "--x projection_x --y projection_y"
        options += "".join(
            f" --{name} {name}" for name in ("neighbors", "image") if name in table.column_names
        )
        say(f"to explore: embedding-atlas {folder / 'atlas.parquet'} {options}")
        return write_page(folder / "map.html", self.page())

    def plot(self) -> Figure:
        """Draw the map, and with pictures a mosaic of it."""
        return map_figure(self.places, self.axes, self._shade(), self._mosaic())

    def page(self) -> str:
        """HTML page where hovering shows a galaxy; it needs nothing from outside itself."""
        ids = self.table[ID].to_pylist()
        generator = np.random.default_rng(0)
        shown = np.sort(generator.permutation(len(ids))[:_ON_PAGE])
        pictured = shown if len(shown) <= self.thumbnails else np.sort(
            generator.choice(shown, self.thumbnails, replace=False)
        )  # fmt: skip
        images = {} if self.galaxies is None else jpeg_uris(
            pictures_of(self.galaxies, [ids[row] for row in pictured], 80), 80
        )  # fmt: skip
        shade = self._shade()
        texts = [""] * len(shown) if self.colour is None else [
            "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
            for value in self.table[self.colour].take(shown).to_pylist()
        ]  # fmt: skip
        return render(
            "map.html.j2",
            about=self.about,
            axes=self.axes,
            colour=self.colour,
            legend=[] if shade is None else shade.legend(),
            total=len(ids),
            shown=len(shown),
            pictured=len(images),
            points=base64.b64encode(self.places[shown].astype("<f4").tobytes()).decode(),
            data={
                "ids": [ids[row] for row in shown],
                "images": images,
                "texts": texts,
                "colours": None if shade is None else [shade.hex(row) for row in shown],
            },
        )

    def atlas_table(self) -> pa.Table:
        """Table in the form that embedding-atlas reads.

        Beside the map's columns ``neighbors``, struct of zero-based row numbers ``ids`` and cosine
        ``distances`` (up to 20,000 galaxies), and ``image``, struct of JPEG ``bytes`` and ``path``
        (up to 20,000 galaxies, if pictures were given).
        """
        import pyarrow as pa

        table = self.table
        if 1 < len(table) <= _WITH_NEIGHBOURS:
            table = table.append_column("neighbors", self._neighbours())
        if self.galaxies is not None and len(table) <= _WITH_IMAGES:
            ids = table[ID].to_pylist()
            pictures = pictures_of(self.galaxies, ids, 128)
            rows = [
                {"bytes": encode_jpeg(np.ascontiguousarray(pictures[name]), 88), "path": None}
                if name in pictures
                else None
                for name in ids
            ]
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            table = table.append_column("image", pa.array(rows, kind))
        return table

    def _neighbours(self) -> pa.Array:
        import pyarrow as pa
        from sklearn.neighbors import NearestNeighbors

        points = units(self.vectors.take(np.arange(len(self.vectors))))
        count = min(_NEIGHBOURS, len(points) - 1)
        finder = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute")
        distances, rows = finder.fit(points).kneighbors()
        return pa.array(
            [{"ids": near, "distances": far}
             for near, far in zip(rows.tolist(), distances.tolist(), strict=True)],
            pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float64()))]),
        )  # fmt: skip

    def _shade(self) -> Shade | None:
        return None if self.colour is None else shade_of(self.table[self.colour], self.colour)

    def _mosaic(self) -> tuple[NDArray[np.float32], Sequence[Pixels]] | None:
        """Cell centres and pictures: in each occupied cell the galaxy nearest its centre."""
        if self.galaxies is None:
            return None
        from hoag.map_figure import mosaic_rows

        rows, centres = mosaic_rows(self.places)
        ids = [self.table[ID][int(row)].as_py() for row in rows]
        pictures = pictures_of(self.galaxies, ids, 64)
        kept = [number for number, name in enumerate(ids) if name in pictures]
        return centres[kept], [pictures[ids[number]] for number in kept]

    def _repr_html_(self) -> str:
        from hoag.notebook import figure_html

        return f"<p>{self!r}</p>" + figure_html(self.plot(), "map of galaxies")

    def __repr__(self) -> str:
        return f"Atlas({len(self.table):,} galaxies by {self.about['method']})"


def map_galaxies(
    embeddings: str | Path | pa.Table | Vectors,
    *,
    method: Method = "pca",
    colour: str | None = None,
    catalogue: str | Path | pa.Table | None = None,
    galaxies: GivenGalaxies | None = None,
    thumbnails: int = 2000,
    key: str = ID,
    seed: int = 0,
) -> Atlas:
    """Lay galaxies out in the plane by their representations; `hoag.map` in Python.

    Parameters
    ----------
    embeddings
        File or table of ids and vectors.
    method
        ``pca``, at once, or ``umap``, which keeps neighbours together.
    colour
        Column of the catalogue that colours the points.
    catalogue
        Table joined by id, whose columns go along; else that of `galaxies`, without votes.
    galaxies
        Where pictures come from.
    thumbnails
        How many pictures the page holds at most, some 3 kB each.
    key
        Column of ids in the catalogue.
    seed
        Of UMAP.

    Raises
    ------
    HoagError
        If there are fewer than three galaxies, or no such column.
    """
    if thumbnails < 0:
        raise HoagError(f"thumbnails = {thumbnails} must be 0 or more")
    vectors = open_vectors(embeddings)
    store = None if galaxies is None else opened(galaxies)
    joined = None
    if catalogue is not None:
        joined = read_catalogue(catalogue, key)
    elif store is not None:
        votes = set(store.schema.columns)
        joined = read_catalogue(store.select([n for n in store.columns if n not in votes]))
    if colour is not None:
        if joined is None:
            raise HoagError(f"no table has column '{colour}'; give one with --catalogue")
        require_columns(joined.column_names, [colour], "the catalogue")
    made = project(vectors, method, seed)
    about = {
        "embeddings": vectors.source, "model": vectors.stamp.get("model"), "method": method,
        "seed": seed,
    }  # fmt: skip
    table = with_columns(_table(vectors, made), joined)
    table = table.replace_schema_metadata({b"hoag": _json({**full_stamp(seed=seed), **about})})
    return Atlas(table, made.names, vectors, about, colour, thumbnails, store)


map = map_galaxies  # as users know it: hoag.map


def _json(content: dict[str, Any]) -> bytes:
    import json

    return json.dumps(content).encode()


def _table(vectors: Vectors, made: Projection) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            ID: vectors.names,
            "projection_x": np.ascontiguousarray(made.places[:, 0]),
            "projection_y": np.ascontiguousarray(made.places[:, 1]),
        }
    )
