"""The label-efficiency curve against a plain scikit-learn loop over the same trials."""

from typing import Any

import numpy as np
from turns import Bench

SIZES = (100, 300, 1000, 3000, 10_000, 30_000)


def made_features(count: int, dim: int) -> Any:
    """Features with the spectrum of representations and two classes that overlap in them."""
    random = np.random.default_rng(0)
    spread = np.arange(1, dim + 1) ** -0.7
    turn = np.linalg.qr(random.standard_normal((dim, dim)))[0]
    hidden = random.standard_normal((count, dim)) * spread
    direction = random.standard_normal(dim) / spread**0.5 / dim**0.5
    logit = hidden @ direction * 2
    labels = (random.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    return (hidden @ turn).astype(np.float32), labels


def plain_loop(features: Any, labels: Any, trial: Any) -> Any:
    """One trial as scikit-learn does it: scaling, a grid of C by the same inner folds, a fit."""
    import warnings

    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.preprocessing import StandardScaler

    from hoag.linear import STRENGTHS, inner_folds_of

    known = labels[trial.train_index]
    scaler = StandardScaler().fit(features[trial.train_index].astype(np.float64))
    search = GridSearchCV(
        LogisticRegression(max_iter=1000), {"C": STRENGTHS}, scoring="neg_log_loss",
        cv=PredefinedSplit(inner_folds_of(known, 3)),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(scaler.transform(features[trial.train_index].astype(np.float64)), known)
    return search.predict(scaler.transform(features[trial.test_index].astype(np.float64)))


def probe(bench: Bench) -> None:
    """A curve of 45k x 512, 6 sizes, 20 subsets, 5 folds, from some trials of each size."""
    import sklearn.linear_model  # noqa: F401  # limits hold for what is loaded before them
    from threadpoolctl import threadpool_limits

    from hoag.probing import run_trials
    from hoag.subsets import make_trials

    count, dim = bench.size(45_000, 300), bench.size(512, 16)
    features, labels = made_features(count, dim)
    sizes = SIZES if not bench.tiny else (30, 60)
    trials = make_trials([f"galaxy-{n}" for n in range(count)], labels, list(sizes))
    total = {"hoag": 0.0, "peer": 0.0}
    by = "processor"  # of one thread each: hoag's processes side by side share nothing
    apart = []
    with threadpool_limits(1):
        for size in sizes:
            of_size = [trial for trial in trials if trial.size == size]
            few = of_size[:: max(1, len(of_size) // 2)][: 1 if size > 5000 else 2]
            found: dict[str, Any] = {}

            def ours(few: Any = few, found: Any = found) -> None:
                chances = run_trials(features, labels, 2, few, workers=1)
                found["hoag"] = [chance.argmax(1) for chance in chances]

            def theirs(few: Any = few, found: Any = found) -> None:
                found["peer"] = [plain_loop(features, labels, trial) for trial in few]

            row = bench.compare(
                f"probe {size}",
                {"hoag": ours, "peer": theirs},
                None,
                repeats=1,
                warm=size == sizes[0],
            )
            for side in total:
                total[side] += row[f"{side} ms {by}"] / len(few) * len(of_size)
            scores = {
                side: [np.mean(guess == labels[trial.test_index]) for guess, trial in
                       zip(guesses, few, strict=True)]
                for side, guesses in found.items()
            }  # fmt: skip
            apart.append(100 * float(np.abs(np.subtract(scores["hoag"], scores["peer"])).max()))
            bench.keep(row | {"points apart": apart[-1]}, {"peer": 10},
                       {"peer": row[f"times peer {by}"]}, by=by)  # fmt: skip
    ratio = total["peer"] / total["hoag"]
    row = {"case": "probe, whole curve", "trials": len(trials), "times peer processor": ratio,
           "times peer wall": ratio, "points apart": max(apart)}  # fmt: skip
    row |= {f"{side} ms {kind}": value for side, value in total.items()
            for kind in ("wall", "processor")}  # fmt: skip
    bench.keep(row, {"peer": 10}, {"peer": round(ratio, 1)}, by=by)
    row = bench.rows[-1]
    row["asked"]["points apart"], row["found"]["points apart"] = 0.1, max(apart)
    row["reached"]["points apart"] = max(apart) <= 0.1


CASES = {"probe": probe}
