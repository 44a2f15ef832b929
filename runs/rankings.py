"""How good the rankings of `hoag find` and `hoag search` were: claims against the labels held back.

Each draw of labels gives one ranking of the same galaxies, whose true labels are all known here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import read_table
from hoag.files import read_json

MODELS, DRAWS, SEARCHES = ("pretrained", "untrained"), 20, 10
KEEPS = (20, 50, 110, 171)  # of the galaxies ranked highest, cuts that `hoag find` speaks of
RESAMPLED = 500
EXAMPLES, SHOWN = 5, 16  # galaxies searched by, and of the first draw in the gallery
Floats = NDArray[np.float64]


def truth_of(table: Path) -> dict[str, bool]:
    """Ring or not, by id."""
    told = read_table(table, ["id_str", "ring"])
    return dict(
        zip(told["id_str"].to_pylist(), (v == 1 for v in told["ring"].to_pylist()), strict=True)
    )


def weighted_auc(truth: NDArray[np.bool_], weights: Floats) -> float:
    """Area under the ROC curve of galaxies in the order of a ranking, the highest first."""
    yes, no = weights * truth, weights * ~truth
    below = no.sum() - np.cumsum(no)
    return float((yes * below).sum() / (yes.sum() * no.sum()))


def found(out: Path, truth: dict[str, bool]) -> dict[str, Any]:
    """Compare what `hoag find` claims with the truth, over all draws and models."""
    ids = sorted(truth)
    place = {name: n for n, name in enumerate(ids)}
    seen = np.random.default_rng(0).multinomial(
        len(ids), np.full(len(ids), 1 / len(ids)), RESAMPLED
    )
    models, aucs = {}, {}
    for name in MODELS:
        rankings = [_Ranking.read(out / "found" / f"{name}-{n}", truth) for n in range(DRAWS)]
        rows = [np.array([place[i] for i in ranking.ids])[ranking.rest] for ranking in rankings]
        rests = [ranking.truth[ranking.rest] for ranking in rankings]
        auc = [weighted_auc(rest, np.ones(len(rest))) for rest in rests]
        resampled = [
            np.mean([weighted_auc(t, w[r]) for t, r in zip(rests, rows, strict=True)]) for w in seen
        ]
        aucs[name] = np.array(resampled)
        claimed = [ranking.claims["auc"] for ranking in rankings]
        models[name] = {
            "auc": np.mean(auc), "auc_error": np.std(resampled), "auc_spread": np.std(auc),
            "aucs": auc, "claimed": np.mean(claimed), "claimed_spread": np.std(claimed),
        }  # fmt: skip
        if name == MODELS[0]:
            claims = _claims(rankings)
    gain = aucs["pretrained"] - aucs["untrained"]
    return {
        "galaxies": len(ids), "rings": sum(truth.values()), "labels": 40, "draws": DRAWS,
        "models": models, **claims,
        "gain": models["pretrained"]["auc"] - models["untrained"]["auc"],
        "gain_error": np.std(gain),
    }  # fmt: skip


class _Ranking:
    """One result of `hoag find`: ids in order, the truth, which were not labelled, and claims."""

    def __init__(self, ids: list[str], truth: Sequence[bool], given: Sequence[Any], claims: Any):
        self.ids, self.truth, self.claims = ids, np.array(truth), claims
        self.rest = np.array([label is None for label in given])

    @staticmethod
    def read(place: Path, truth: dict[str, bool]) -> "_Ranking":
        table = read_table(place.with_suffix(".parquet"), ["id_str", "label"])
        ids = table["id_str"].to_pylist()
        claims = read_json(place.with_suffix(".json"))["sought"][0]
        return _Ranking(ids, [truth[i] for i in ids], table["label"].to_pylist(), claims)

    def along(self, keeps: NDArray[np.int64], unlabelled: bool) -> tuple[Floats, Floats]:
        """Purity and completeness among the first of the ranking, of all or the unlabelled."""
        counted = self.rest if unlabelled else np.ones(len(self.ids), bool)
        right, there = np.cumsum(self.truth & counted)[keeps - 1], np.cumsum(counted)[keeps - 1]
        return right / np.maximum(there, 1), right / (self.truth & counted).sum()


def _claims(rankings: list[_Ranking]) -> dict[str, Any]:
    """Curves of the claims and of the truth, and how often the truth lay in the interval."""
    keeps = np.array([row["keep"] for row in rankings[0].claims["expected"]])
    inside = {}
    for name, number in (("purity", 0), ("completeness", 1)):
        low, high = (
            np.array([[row[f"{name}_{end}"] for row in r.claims["expected"]] for r in rankings])
            for end in ("low", "high")
        )
        true = np.array([ranking.along(keeps, False)[number] for ranking in rankings])
        within = (low - 1e-9 <= true) & (true <= high + 1e-9)
        inside[name] = {str(k): within[:, keeps == k].mean() for k in KEEPS}
    share = np.mean(rankings[0].truth)
    priors = [ranking.claims["prior_interval"] for ranking in rankings]
    return {
        "keeps": keeps,
        "claimed": rankings[0].claims["expected"],
        "true": [
            dict(zip(("purity", "completeness"), ranking.along(keeps, True), strict=True))
            for ranking in rankings
        ],
        "inside": inside,
        "prior_inside": np.mean([low <= share <= high for low, high in priors]),
        "of_first": {
            str(k): {
                "claimed": next(r for r in rankings[0].claims["expected"] if r["keep"] == k),
                "purity": rankings[0].along(np.array([k]), True)[0][0],
                "completeness": rankings[0].along(np.array([k]), True)[1][0],
            }
            for k in KEEPS
        },
    }


def searched(out: Path, truth: dict[str, bool], names: Sequence[str], most: int) -> dict[str, Any]:
    """Precision among the first k that `hoag search` finds, k to `most`, over the draws."""
    curves, first = {}, {}
    for name in names:
        precision = []
        for draw in range(SEARCHES):
            table = read_table(out / "searched" / f"{name}-{draw}.parquet", ["id_str"])
            right = np.array([truth[i] for i in table["id_str"].to_pylist()])[:most]
            precision.append(np.cumsum(right) / np.arange(1, most + 1))
        low, high = np.quantile(precision, [0.05, 0.95], axis=0)
        share = [each[SHOWN - 1] for each in precision]
        first[name] = {"first": share[0], "mean": np.mean(share), "low": min(share),
                       "high": max(share)}  # fmt: skip
        curves[name] = {"mean": np.mean(precision, axis=0), "low": low, "high": high}
    return {
        "galaxies": len(truth),
        "chance": (sum(truth.values()) - EXAMPLES) / (len(truth) - EXAMPLES),
        "examples": EXAMPLES, "draws": SEARCHES,
        "curves": curves, "first_shown": first,
        "at": {n: {str(k): {e: c[e][k - 1] for e in ("mean", "low", "high")} for k in (10, 50)}
               for n, c in curves.items()},
    }  # fmt: skip
