"""The paper's six claims, each as a statement that a paired comparison decides.

The statements below are those that are tested; they stand in verdicts.json and on the page too.
A claim is *shown* or *contradicted* when the interval says so, and else *not shown*: at this size,
for these galaxies and these runs. It is *not tested* where an arm that it is about is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from comparing import Difference, Row, compared, crossing, rank_correlation
from tables import point

from hoag.curves import Curve, combine

HYBRID, PRETRAINED, CONTRASTIVE, DIRECT = "hybrid", "pretrained", "contrastive", "direct"
SHOWN, NOT_SHOWN, CONTRADICTED, NOT_TESTED = "shown", "not shown", "contradicted", "not tested"
NOT_WORSE, AS_GOOD = 0.005, 0.01
"""Margins in accuracy: half a point for "not worse", a point for "as good"."""

CLAIMS = {
    "1": "Hybrid matches or outperforms Pretrained and Contrastive at every number of labels",
    "2": "The gain of Hybrid is largest with few labels",
    "3": "Pretrained meets Hybrid with many labels",
    "4": "Hybrid and Pretrained beat Direct even with all labels",
    "5": "Contrastive beats Direct with few labels",
    "6": "A lower contrastive loss need not mean a better accuracy",
    "6b": "... most of all with the second encoder",
    "6c": "... which the hybrid head mends",
}
STATEMENTS = {
    "1": (
        "Shown if at every number of labels the intervals of Hybrid less Pretrained and of Hybrid "
        "less Contrastive lie above -0.5 point, and one of them, taken all together, above 0. "
        "Contradicted if one of them, taken all together, lies below 0."
    ),
    "2": (
        "The gain is the accuracy of Hybrid less that of the better of Pretrained and Contrastive. "
        "Shown if it is above 0 at the fewest labels and larger there than at the most, both "
        "intervals above 0; contradicted if it is smaller there. The gains over each of the two "
        "stand beside it and decide nothing."
    ),
    "3": (
        "Shown if the interval of Hybrid less Pretrained at the most labels lies within 1 point of "
        "0; contradicted if it lies wholly outside."
    ),
    "4": (
        "At the most labels Direct was trained on: shown if the intervals of Hybrid less Direct "
        "and of Pretrained less Direct lie above 0; contradicted if one lies below."
    ),
    "5": (
        "At the fewest labels Direct was trained on: shown if the interval of Contrastive less "
        "Direct lies above 0; contradicted if below. Where the two cross is read off straight "
        "lines of their difference against the logarithm of the number of labels."
    ),
    "6": (
        "At the end of training one of Contrastive and Hybrid has the lower contrastive loss on "
        "validation galaxies. Shown if the interval of its accuracy less the other's, at the most "
        "labels, lies below 0; contradicted if above."
    ),
    "6b": (
        "Shown if Hybrid is ahead of Contrastive by more with the second encoder than with the "
        "first, at the most labels, the interval of the difference above 0; contradicted if below."
    ),
    "6c": (
        "Shown if the interval of Hybrid with the second encoder less Hybrid with the first, at "
        "the most labels, lies above -1 point; contradicted if below -1 point."
    ),
}


@dataclass(frozen=True)
class Evidence:
    """What the claims are judged on: predictions of all arms on one task, and losses.

    Attributes
    ----------
    curve
        All arms with the first encoder.
    losses
        Rows of results.json's fig2: arm, galaxies_seen, contrastive, accuracy.
    second, second_losses
        Contrastive and Hybrid with another encoder, on the same galaxies; None if there are none.
    """

    curve: Curve
    losses: list[Row]
    second: Curve | None = None
    second_losses: list[Row] = field(default_factory=list)


@dataclass
class Finding:
    """What was found on a claim: the verdict, why, and the differences it rests on."""

    verdict: str
    because: str
    rows: list[Row] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """Judge all claims; gives what verdicts.json holds of each."""
    judges: dict[str, Callable[[Evidence], Finding]] = {
        "1": not_worse_anywhere, "2": most_with_few, "3": as_good_with_many, "4": beat_direct,
        "5": contrastive_beats_direct, "6": loss_against_accuracy, "6b": more_so_with_second,
        "6c": mended_by_the_head,
    }  # fmt: skip
    return [
        {"number": number, "claim": CLAIMS[number], "statement": STATEMENTS[number],
         **vars(decide(evidence))}
        for number, decide in judges.items()
    ]  # fmt: skip


def shared_sizes(curve: Curve, arms: tuple[str, ...]) -> list[int]:
    """Numbers of labels at which these arms share trials; none if an arm is missing."""
    if not set(arms) <= set(curve.arms):
        return []
    return [size for size in curve.sizes if curve.shared_trials(arms, size)]


def untested(*arms: str) -> Finding:
    return Finding(NOT_TESTED, f"needs {' and '.join(arms)} on the same trials")


def less(first: str, second: str, size: int) -> Difference:
    return Difference(f"{first} less {second}", size, {(first, size): 1.0, (second, size): -1.0})


def told(row: Row) -> str:
    """A difference in words: "hybrid less pretrained at 50 labels: +1.0 (+0.2 to +1.8) points"."""
    size = f" at {row['size']:,} labels" if row["size"] else ""
    return (
        f"{row['what']}{size}: {point(row['difference'])} "
        f"({point(row['low'])} to {point(row['high'])}) points"
    )


def not_worse_anywhere(evidence: Evidence) -> Finding:
    """Claim 1."""
    sizes = shared_sizes(evidence.curve, (HYBRID, PRETRAINED, CONTRASTIVE))
    if not sizes:
        return untested(HYBRID, PRETRAINED, CONTRASTIVE)
    rows = compared(
        evidence.curve, [less(HYBRID, arm, n) for arm in (PRETRAINED, CONTRASTIVE) for n in sizes]
    )
    lowest = min(rows, key=lambda row: row["low"])
    worst = min(rows, key=lambda row: row["high_all"])
    best = max(rows, key=lambda row: row["low_all"])
    if worst["high_all"] < 0:
        return Finding(CONTRADICTED, told(worst), rows)
    if lowest["low"] > -NOT_WORSE and best["low_all"] > 0:
        return Finding(SHOWN, f"lowest, {told(lowest)}; clearest, {told(best)}", rows)
    return Finding(NOT_SHOWN, f"lowest, {told(lowest)}; clearest, {told(best)}", rows)


def most_with_few(evidence: Evidence) -> Finding:
    """Claim 2."""
    arms = (HYBRID, PRETRAINED, CONTRASTIVE)
    sizes = shared_sizes(evidence.curve, arms)
    if len(sizes) < 2:
        return untested(*arms, "two numbers of labels")
    few, many = sizes[0], sizes[-1]
    gains = [*_gains(evidence.curve, few), *_gains(evidence.curve, many)]
    falls = [
        Difference(f"{at_few.what.split(' (')[0]}, at {few:,} less at {many:,} labels", None,
                   at_few.weights | {point: -w for point, w in at_many.weights.items()})
        for at_few, at_many in zip(gains[:3], gains[3:], strict=True)
    ]  # fmt: skip
    every = [gain for size in sizes[1:-1] for gain in _gains(evidence.curve, size)]
    rows = compared(evidence.curve, [*falls, *gains, *every])
    fall, at_few = rows[0], rows[3]
    because = f"{told(at_few)}; {told(fall)}"
    if fall["high"] < 0:
        return Finding(CONTRADICTED, because, rows)
    shown = fall["low"] > 0 and at_few["low"] > 0
    return Finding(SHOWN if shown else NOT_SHOWN, because, rows)


def _gains(curve: Curve, size: int) -> list[Difference]:
    """Hybrid over whichever of Pretrained and Contrastive is the better, and over each."""
    others = (PRETRAINED, CONTRASTIVE)
    values = curve.resampled([(arm, size) for arm in others])[:, 0]
    better = others[int(np.argmax(values))]
    gains = [replace(less(HYBRID, arm, size), what=f"gain over {arm}") for arm in others]
    best = replace(less(HYBRID, better, size), what=f"gain over the better ({better})")
    return [best, *gains]


def as_good_with_many(evidence: Evidence) -> Finding:
    """Claim 3."""
    sizes = shared_sizes(evidence.curve, (HYBRID, PRETRAINED))
    if not sizes:
        return untested(HYBRID, PRETRAINED)
    [row] = compared(evidence.curve, [less(HYBRID, PRETRAINED, sizes[-1])])
    if -AS_GOOD < row["low"] and row["high"] < AS_GOOD:
        return Finding(SHOWN, told(row), [row])
    apart = row["low"] > AS_GOOD or row["high"] < -AS_GOOD
    return Finding(CONTRADICTED if apart else NOT_SHOWN, told(row), [row])


def beat_direct(evidence: Evidence) -> Finding:
    """Claim 4."""
    arms = (HYBRID, PRETRAINED, DIRECT)
    sizes = shared_sizes(evidence.curve, arms)
    if not sizes:
        return untested(*arms)
    rows = compared(evidence.curve, [less(arm, DIRECT, sizes[-1]) for arm in arms[:2]])
    because = "; ".join(told(row) for row in rows)
    if sizes[-1] < evidence.curve.sizes[-1]:
        because += f"; Direct was not trained on all {evidence.curve.sizes[-1]:,} labels"
    return Finding(_above(rows), because, rows)


def _above(rows: list[Row]) -> str:
    """Shown if all lie above 0, contradicted if one lies below."""
    if any(row["high"] < 0 for row in rows):
        return CONTRADICTED
    return SHOWN if all(row["low"] > 0 for row in rows) else NOT_SHOWN


def contrastive_beats_direct(evidence: Evidence) -> Finding:
    """Claim 5, and where the two cross."""
    sizes = shared_sizes(evidence.curve, (CONTRASTIVE, DIRECT))
    if not sizes:
        return untested(CONTRASTIVE, DIRECT)
    differences = [less(CONTRASTIVE, DIRECT, size) for size in sizes]
    rows = compared(evidence.curve, differences)
    where = crossing(evidence.curve, differences)
    return Finding(_above(rows[:1]), told(rows[0]), rows, {"crossing": where})


def loss_against_accuracy(evidence: Evidence) -> Finding:
    """Claim 6, within the first encoder, with rank correlations along each run."""
    more = {
        "ends": _ends(evidence.losses),
        "rank correlation along training": _correlations(evidence.losses),
        "second encoder": {
            "ends": _ends(evidence.second_losses),
            "rank correlation along training": _correlations(evidence.second_losses),
        },
        "no interval": "losses, online probes and rank correlations: one value a run",
    }
    sizes = shared_sizes(evidence.curve, (HYBRID, CONTRASTIVE))
    ends = {row["arm"]: row["contrastive"] for row in _ends(evidence.losses)}
    if not sizes or not {HYBRID, CONTRASTIVE} <= set(ends):
        return replace(untested(HYBRID, CONTRASTIVE, "their losses"), more=more)
    lower, higher = sorted((CONTRASTIVE, HYBRID), key=lambda arm: ends[arm])
    rows = compared(evidence.curve, [less(lower, higher, sizes[-1])])
    sign = {SHOWN: CONTRADICTED, CONTRADICTED: SHOWN}
    verdict = _above(rows)
    because = (
        f"{lower} ends with the lower contrastive loss ({ends[lower]:.3f}, {higher} "
        f"{ends[higher]:.3f})".replace("-", "\N{MINUS SIGN}")
        + f"; {told(rows[0])}"
    )
    return Finding(sign.get(verdict, verdict), because, rows, more)


def _ends(losses: list[Row]) -> list[Row]:
    """The last point of each arm."""
    last: dict[str, Row] = {}
    for row in sorted(losses, key=lambda row: row["galaxies_seen"]):
        last[row["arm"]] = row
    return list(last.values())


def _correlations(losses: list[Row]) -> list[Row]:
    return [
        {"arm": arm, **rank_correlation([row for row in losses if row["arm"] == arm])}
        for arm in dict.fromkeys(row["arm"] for row in losses)
    ]


SECOND = " with the second encoder"


def _both(evidence: Evidence) -> Curve | None:
    """Curves of both encoders in one, the second's arms under names of their own."""
    if evidence.second is None:
        return None
    renamed = [replace(each, arm=each.arm + SECOND) for each in evidence.second.predictions]
    return combine([evidence.curve, replace(evidence.second, predictions=tuple(renamed))])


def more_so_with_second(evidence: Evidence) -> Finding:
    """Claim 6b."""
    both = _both(evidence)
    arms = (HYBRID, CONTRASTIVE, HYBRID + SECOND, CONTRASTIVE + SECOND)
    sizes = shared_sizes(both, arms) if both else []
    if both is None or not sizes:
        return untested(HYBRID, CONTRASTIVE, "a second encoder")
    size = sizes[-1]
    first, second = less(*arms[:2], size), less(*arms[2:], size)
    change = Difference(
        "hybrid less contrastive, second encoder less first", size,
        second.weights | {point: -w for point, w in first.weights.items()},
    )  # fmt: skip
    rows = compared(both, [change, first, second])
    return Finding(_above(rows[:1]), told(rows[0]), rows)


def mended_by_the_head(evidence: Evidence) -> Finding:
    """Claim 6c."""
    both = _both(evidence)
    sizes = shared_sizes(both, (HYBRID, HYBRID + SECOND)) if both else []
    if both is None or not sizes:
        return untested(HYBRID, "a second encoder")
    rows = compared(both, [less(HYBRID + SECOND, HYBRID, sizes[-1])])
    low, high = rows[0]["low"], rows[0]["high"]
    verdict = SHOWN if low > -AS_GOOD else CONTRADICTED if high < -AS_GOOD else NOT_SHOWN
    return Finding(verdict, told(rows[0]), rows)
