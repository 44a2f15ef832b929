"""Search of a million vectors in half precision against one read of the matrix."""

from typing import Any

import numpy as np
from turns import Bench


def made_vectors(count: int, dim: int) -> Any:
    """Random vectors as an opened table has them."""
    import pyarrow as pa

    from hoag.half_vectors import Vectors

    random = np.random.default_rng(0)
    rows = np.empty((count, dim), np.float16)
    for start in range(0, count, 50_000):
        part = rows[start : start + 50_000]
        part[:] = random.standard_normal(part.shape, np.float32)
    norms = np.concatenate([
        np.linalg.norm(rows[n : n + 50_000].astype(np.float32), axis=1)
        for n in range(0, count, 50_000)
    ])  # fmt: skip
    names = pa.array([f"galaxy-{n}" for n in range(count)])
    return Vectors(names, rows, np.stack([np.zeros(dim), np.ones(dim)]), {}, norms, "made up")


def search(bench: Bench) -> None:
    """1M x 512: the top 200 of one query, and all ranked anew after one more label; 2 threads."""
    import torch

    from hoag.finding import score_all
    from hoag.linear import fit_linear
    from hoag.nearest import nearest

    bench.use_threads(2)
    count = bench.size(1_000_000, 5_000)
    vectors = made_vectors(count, 512)
    query = vectors.take(np.array([17]))
    words = torch.from_numpy(vectors.rows.view(np.int16)).view(torch.int64)
    row = bench.compare(
        "search", {"hoag": lambda: nearest(vectors, query, 200), "floor": lambda: words.sum()},
        {"floor": 0.6}, count=count,
    )  # fmt: skip
    labelled = np.arange(0, count, count // 60)
    labels = (np.arange(len(labelled)) % 3 == 0).astype(np.int64)
    known = vectors.take(labelled)

    def rank() -> None:
        probe = fit_linear(known, labels, 2)
        scaled = probe.weights / probe.scale[:, None]
        scores = score_all(vectors, scaled, probe.intercepts - probe.mean @ scaled)[:, 0]
        best = np.argpartition(scores, -200)[-200:]
        best[np.argsort(-scores[best])]

    again = bench.compare("re-rank", {"hoag": rank}, None, count=count)
    by = "processor" if bench.busy else "wall"
    bench.keep(again, {"ms": 300}, {"ms": again[f"hoag ms {by}"]}, by=by, least=False)
    row["GB/s"] = round(vectors.rows.nbytes / row["hoag ms wall"] / 1e6, 2)
    row["GB/s read"] = round(vectors.rows.nbytes / row["floor ms wall"] / 1e6, 2)


CASES = {"search": search}
