"""From files and stores to views: against bare decoding with one warp, and against other loaders.

No decoded image is kept, as in the first epoch or in a set too large for the memory. All work in
one thread of one process and are judged by processor time: workers would add to it, not take away.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from turns import Bench, Peer

from cases import made

SIDE, BATCH = 128, 64
AT_ONCE = 8  # images that the bare warp takes, which is when it is fastest


def make_store(folder: Path, count: int, side: int) -> Any:
    """Open a Parquet store of galaxies `side` pixels wide, and give their files too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import hoag
    from hoag.images import decode, encode_jpeg

    contents = [
        encode_jpeg(decode(path, side), 90) for path in made.native_files(folder / "native", count)
    ]
    files = [folder / f"{n:05d}.jpg" for n in range(count)]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    store = folder / "store.parquet"
    images = pa.array([{"bytes": content, "path": None} for content in contents])
    pq.write_table(pa.table({"id_str": [str(n) for n in range(count)], "image": images}), store)
    return hoag.open(store), list(map(str, files)), contents


def bare_decode(content: bytes, at_least: int) -> Any:
    """Decode a JPEG by the quickest means known here, at 1/2, 1/4 or 1/8 if that will do."""
    import simplejpeg

    height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    scale = next((n for n in (8, 4, 2) if min(height, width) >= n * at_least), 1)
    least = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    return simplejpeg.decode_jpeg(content, "RGB", **(least if scale > 1 else {}))


def bare_warp(frames: Any, size: int) -> Any:
    """Turn decoded frames, (n, height, width, 3) uint8, by one bilinear warp each."""
    import torch
    from torch.nn import functional as F

    turn = torch.tensor([[0.6, -0.5, 0.05], [0.5, 0.6, -0.05]])
    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    views = torch.empty(len(frames), 3, size, size)
    for start in range(0, len(frames), AT_ONCE):
        part = torch.from_numpy(frames[start : start + AT_ONCE]).permute(0, 3, 1, 2)
        grid = torch.empty(len(part), size, size, 2)
        for k in range(2):
            torch.add(
                (turn[k, 1] * axis + turn[k, 2])[:, None], turn[k, 0] * axis, out=grid[0, ..., k]
            )
        grid[1:] = grid[0]
        views[start : start + AT_ONCE] = F.grid_sample(
            part.float().div_(255), grid, align_corners=False
        )
    return views


def in_batches(galaxies: Any, arm: str, size: int, streams: tuple[int, ...]) -> Callable[[], None]:
    """What training does before the network: batches read and views made, all galaxies once."""
    from hoag.batches import make_batch
    from hoag.recipe import load_recipe
    from hoag.views import Views

    views = Views(load_recipe(f"paper/{arm}").views, size)

    def turn() -> None:
        for start in range(0, len(galaxies), BATCH):
            rows = np.arange(start, min(start + BATCH, len(galaxies)))
            batch = make_batch(galaxies, rows, size, seed=0, step=start, keep=False)
            for stream in streams:
                views(batch.images, seed=0, step=start, keys=batch.keys, stream=stream)

    return turn


def native_views(bench: Bench) -> None:
    """Native 424 px JPEG files to augmented 128 px batches, one thread."""

    import hoag

    bench.use_threads(1)
    count, size = bench.size(384, 4), bench.size(SIDE, 32)
    files = made.native_files(bench.folder / "native", count, bench.size(424, 100))
    table = bench.folder / "catalogue.csv"
    table.write_text("id_str,file_loc\n" + "".join(f"{n},{f}\n" for n, f in enumerate(files)))
    galaxies = hoag.open(table)

    def floor() -> None:
        for start in range(0, count, BATCH):
            contents = [Path(file).read_bytes() for file in files[start : start + BATCH]]
            bare_warp(np.stack([bare_decode(content, size) for content in contents]), size)

    given = {"files": files, "batch": BATCH, "size": size}
    bench.compare(
        "native-views", {"hoag": in_batches(galaxies, "pretrained", size, (1,)), "floor": floor},
        {"floor": 0.7, "peer": 6}, count=count, by="processor", repeats=4,
        peer=lambda: Peer("train-loader", 1, workers=0, **given),
    )  # fmt: skip


def store_views(bench: Bench) -> None:
    """A store of 128 px JPEGs to two BYOL views, one thread; lightly's loader on native files."""
    _store_views(bench, native=True)


def store_views_same_files(bench: Bench) -> None:
    """The same against lightly's loader on the same 128 px files."""
    _store_views(bench, native=False)


def _store_views(bench: Bench, *, native: bool) -> None:

    bench.use_threads(1)
    count, size = bench.size(384, 4), bench.size(SIDE, 32)
    galaxies, files, contents = make_store(bench.folder, count, size)

    def floor() -> None:
        for start in range(0, count, BATCH):
            part = contents[start : start + BATCH]
            frames = np.stack([bare_decode(content, size) for content in part])
            bare_warp(frames, size)
            bare_warp(frames, size)

    if native:
        files = made.native_files(bench.folder / "native", count, bench.size(424, 100))
    given = {"files": files, "batch": BATCH, "size": size}
    bench.compare(
        "store-views" if native else "store-views-same-files",
        {"hoag": in_batches(galaxies, "contrastive", size, (1, 2)), "floor": floor},
        {"floor": 0.7, "peer": 6} if native else {"floor": 0.7}, count=count, by="processor",
        repeats=4,
        peer=lambda: Peer("byol-loader", 1, workers=0, **given),
    )  # fmt: skip


def store_batches(bench: Bench) -> None:
    """Batches alone from a store of 128 px JPEGs: pixels, votes, ids and keys; one thread."""

    bench.use_threads(1)
    count, size = bench.size(384, 4), bench.size(SIDE, 32)
    galaxies, _, contents = make_store(bench.folder, count, size)

    def floor() -> None:
        for content in contents:
            bare_decode(content, size)

    bench.compare(
        "store-batches", {"hoag": in_batches(galaxies, "contrastive", size, ()), "floor": floor},
        {"floor": 0.9}, count=count, by="processor",
    )  # fmt: skip


def colours(bench: Bench) -> None:
    """Colours of all views, blur and noise of half of them: their time as a share of the warp's."""
    from dataclasses import replace

    import torch

    from hoag.views import Views, ViewSettings

    bench.use_threads(1)
    count, size = bench.size(256, 4), bench.size(SIDE, 32)
    pixels = made.pictures(count, size).transpose(0, 2, 3, 1)
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    keys = torch.arange(count)
    warp = ViewSettings(jitter_probability=0.0, grey_probability=0.0)
    wanted = {
        "hoag": replace(ViewSettings(), blur_probability=0.5, noise_probability=0.5),
        "warp": warp,
        "colours": ViewSettings(),
        "blur": replace(warp, blur_probability=0.5),
        "noise": replace(warp, noise_probability=0.5),
    }

    def make(settings: ViewSettings) -> Callable[[], None]:
        views = Views(settings, size)

        def turn() -> None:
            for start in range(0, count, BATCH):
                part = slice(start, start + BATCH)
                views(images[part], seed=0, step=start, keys=keys[part], stream=1)

        return turn

    row = bench.compare(
        "colours", {name: make(settings) for name, settings in wanted.items()}, None, count=count
    )
    shares = {
        name: row[f"{name} ms processor"] / row["warp ms processor"] - 1
        for name in wanted if name != "warp"
    }  # fmt: skip
    more = {f"share of {name}": round(share, 3) for name, share in shares.items()}
    bench.keep(
        row | more, {"share": 1.0}, {"share": round(shares["hoag"], 3)}, by="processor", least=False
    )  # fmt: skip


CASES = {
    "native-views": native_views,
    "store-views": store_views,
    "store-views-same-files": store_views_same_files,
    "store-batches": store_batches,
    "colours": colours,
}
