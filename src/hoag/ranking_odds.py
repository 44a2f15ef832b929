"""How many of a ranking's top are right: calibrated probabilities, purity and completeness.

A few labels, often as many yes as no, and a population in which yes is rare: what is known of the
population is its scores, all of them, and the share of yes, the prior. The log odds of yes are
taken as linear in the score z (Platt 2000), with two additions:

    p(z) = lapse * prior + (1 - lapse) * sigmoid(slope * z + level)

The *level* is set so that p adds up to prior * N over all N galaxies, whatever the share of yes
among the labels: that is the shift of the log odds from the labels' share to the prior (Elkan 2001,
Saerens+02), done with the scores of the population at hand in place of its model. The *lapse* is a
share of galaxies whose class has nothing to do with their score (wrong labels, outliers), which
keeps the top of a long ranking from certainty that no few labels can show. Slope and lapse are not
fitted but weighed: their posterior on a grid, from labels scored by classifiers that did not see
them. Isotonic regression, the usual other way, needs a thousand labels (Niculescu-Mizil & Caruana
2005), and makes ties where a ranking is wanted.

A bootstrap of the labels would be narrowest where it should be widest: labels that happen to be
separable are so in every resampling. A posterior is not fooled by that. Its likelihood is raised to
a power below 1, because out-of-fold scores share most of their training labels and the final
classifier is but one draw of a classifier; at the power used 90 % intervals held about 90 % of the
time in simulations, which the tests repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.90
"""Probability that intervals of purity and completeness are to hold."""

LIKELIHOOD_POWER = 0.6

_SLOPES = np.exp(np.linspace(np.log(0.05), np.log(20.0), 48))
_SLOPE_PRIOR = (np.log(0.8), 1.2)  # of log slope: mean, standard deviation
_LAPSES = {0.0: 0.4, 0.05: 0.3, 0.15: 0.2, 0.35: 0.1}  # value: prior probability
_SHIFTS = np.linspace(-8.0, 8.0, 49)  # of the labels' log odds beyond those of their shares
_SHIFT_SPREAD = 2.0
_SHARES = np.linspace(-3.0, 3.0, 9)  # standard deviations of an unknown prior's log odds
_DRAWS = 1000
_PER_SEGMENT, _CUTS = 24, 64


@dataclass(frozen=True)
class Population:
    """The scores of all galaxies, summed up by rank so that a million cost what a thousand do.

    Attributes
    ----------
    size
        Number of galaxies N.
    cuts
        Ranks, ascending and closer together at the top; the last is N.
    nodes, weights
        Scores at ranks within each stretch between cuts, and how many galaxies each stands for.
    segment
        Which stretch a node is in.
    low, high
        Lowest and highest score.
    """

    size: int
    cuts: Ints
    nodes: Floats
    weights: Floats
    segment: Ints
    low: float
    high: float

    @staticmethod
    def of(scores: NDArray[np.floating]) -> Population:
        """Sum up scores (N,), in any order."""
        ordered = -np.sort(-np.asarray(scores, np.float64))
        size = len(ordered)
        cuts = np.unique(np.rint(np.geomspace(min(10, size), size, _CUTS)).astype(np.int64))
        nodes, weights, segment = [], [], []
        for number, (start, stop) in enumerate(zip([0, *cuts[:-1]], cuts, strict=True)):
            count = min(_PER_SEGMENT, stop - start)
            places = start + ((np.arange(count) + 0.5) * (stop - start) / count).astype(np.int64)
            nodes.append(ordered[places])
            weights.append(np.full(count, (stop - start) / count))
            segment.append(np.full(count, number))
        return Population(
            size, cuts, np.concatenate(nodes), np.concatenate(weights),
            np.concatenate(segment).astype(np.int64), float(ordered[-1]), float(ordered[0]),
        )  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What to expect of a ranking cut at each of several ranks; means and 90 % intervals.

    Attributes
    ----------
    cuts
        (cuts,) how many galaxies are kept.
    purity, completeness
        (cuts, 3): mean, low, high of the realised share of yes among those kept, and of those kept
        among all yes.
    """

    cuts: Ints
    purity: Floats
    completeness: Floats


@dataclass(frozen=True)
class Odds:
    """Weighed hypotheses of how the probability of yes goes with the score; see the module.

    Attributes
    ----------
    weights
        (hypotheses,) posterior probabilities.
    slopes, levels, lapses, priors
        (hypotheses,) the parameters of each.
    """

    weights: Floats
    slopes: Floats
    levels: Floats
    lapses: Floats
    priors: Floats
    population: Population

    @property
    def prior(self) -> float:
        """Share of yes among all galaxies, as given or as inferred."""
        return float(self.weights @ self.priors)

    @property
    def prior_interval(self) -> tuple[float, float]:
        """90 % interval of the share of yes; both ends are the prior where it was given."""
        order = np.argsort(self.priors, kind="stable")
        below = np.cumsum(self.weights[order])
        low, high = np.searchsorted(below, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        last = len(order) - 1
        return float(self.priors[order[min(low, last)]]), float(self.priors[order[min(high, last)]])

    def probabilities(self, scores: NDArray[np.floating]) -> Floats:
        """Probability of yes at each score, (n,): the mean over hypotheses, never falling."""
        own = self.population
        grid = np.linspace(own.low, own.high, 1024)
        if own.high <= own.low:
            return np.full(len(scores), self.prior)
        mean = self.weights @ self._all(grid)
        odds = np.maximum.accumulate(logit(np.clip(mean, 1e-12, 1 - 1e-12)))
        return np.asarray(expit(np.interp(np.asarray(scores, np.float64), grid, odds)))

    def expected(self, seed: int = 0) -> Expected:
        """Purity and completeness of the ranking at each cut of the population.

        Realised ones: the luck of the draw of the galaxies kept is in the intervals.
        """
        own = self.population
        lengths = np.diff(own.cuts, prepend=0)
        shares = np.zeros((len(self.weights), len(own.cuts)))
        values = self._all(own.nodes) * own.weights
        for number in range(len(own.cuts)):
            shares[:, number] = values[:, own.segment == number].sum(axis=1)
        shares /= lengths
        generator = np.random.default_rng([seed, own.size])
        drawn = generator.choice(len(self.weights), _DRAWS, p=self.weights)
        hits = generator.binomial(lengths, np.clip(shares[drawn], 0, 1)).cumsum(axis=1)
        purity = hits / own.cuts
        completeness = hits / np.maximum(hits[:, -1:], 1)
        return Expected(own.cuts, _summary(purity), _summary(completeness))

    def _all(self, scores: Floats) -> Floats:
        """(hypotheses, n)."""
        sure = expit(self.slopes[:, None] * scores + self.levels[:, None])
        lapse = self.lapses[:, None]
        return np.asarray(lapse * self.priors[:, None] + (1 - lapse) * sure)


def fit_odds(
    held_out: NDArray[np.floating],
    yes: NDArray[np.bool_],
    population: Population,
    prior: float | None,
    counts: Floats | None = None,
) -> Odds:
    """Weigh hypotheses by labels.

    Parameters
    ----------
    held_out
        (repeats, labelled) scores by classifiers that did not see the galaxy.
    yes
        (labelled,) labels.
    population
        Scores of all galaxies on the same scale.
    prior
        Share of yes among all galaxies, in (0, 1). None: the labelled were drawn from all without
        looking, so that they tell it.
    counts
        (labelled,) what each label counts, 1 by default; less for images of one sky object.
    """
    counts = np.ones(len(yes)) if counts is None else counts
    share = ((counts * yes).sum() + 0.5) / (counts.sum() + 1)
    if prior is None:
        spread = 1 / np.sqrt(counts.sum() * share * (1 - share))
        priors, shifts = expit(logit(share) + spread * _SHARES), np.zeros(1)
    else:
        priors, shifts = np.array([prior]), _SHIFTS
    lapses = np.array(list(_LAPSES))
    parts = []
    for each in priors:
        levels = _levels(population, _SLOPES, float(each))
        nominal = 0.0 if prior is None else float(logit(share) - logit(each))
        logs = np.array(
            [
                [
                    _log_likelihood(
                        held_out, yes, counts, (slope, level, lapse, each), nominal + shifts
                    )
                    for lapse in lapses
                ]
                for slope, level in zip(_SLOPES, levels, strict=True)
            ]
        )
        parts.append((logs, levels, np.full(logs.shape, each)))
    logs = np.stack([part[0] for part in parts])
    centre, width = _SLOPE_PRIOR
    logs += (-0.5 * ((np.log(_SLOPES) - centre) / width) ** 2)[:, None]
    logs += np.log(list(_LAPSES.values()))
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    kept = weights.ravel() > 1e-5
    levels = np.broadcast_to(np.stack([part[1] for part in parts])[..., None], logs.shape)
    slopes = np.broadcast_to(_SLOPES[:, None], logs.shape)
    shares = np.stack([part[2] for part in parts])
    names = (weights, slopes, levels, np.broadcast_to(lapses, logs.shape), shares)
    weight, *parameters = (np.ravel(each)[kept] for each in names)
    slope, level, lapse, share_of_yes = parameters
    return Odds(weight / weight.sum(), slope, level, lapse, share_of_yes, population)


def _levels(population: Population, slopes: Floats, prior: float) -> Floats:
    """Find each slope's level at which the probabilities add up to the prior, by bisection."""
    low = np.full(len(slopes), -1.0) * (slopes * max(abs(population.low), 1) * 2 + 60)
    high = -low
    shares = population.weights / population.size
    for _ in range(60):
        middle = (low + high) / 2
        mean = expit(slopes[:, None] * population.nodes + middle[:, None]) @ shares
        low, high = np.where(mean < prior, middle, low), np.where(mean < prior, high, middle)
    return np.asarray((low + high) / 2)


def _log_likelihood(
    held_out: NDArray[np.floating],
    yes: NDArray[np.bool_],
    counts: Floats,
    hypothesis: tuple[float, float, float, float],
    shifts: Floats,
) -> float:
    """Log likelihood of the labels, the mean over repeats, with the labels' own shift summed out.

    The labelled were chosen by class (as many yes as no, say), which shifts their log odds by a
    constant. It is log(share of yes among labels) less that of the prior if the labelled are fair
    draws of their class, and somewhere near it if they are not quite; so it stays free.
    """
    slope, level, lapse, prior = hypothesis
    chance = lapse * prior + (1 - lapse) * expit(slope * held_out + level)
    odds = logit(np.clip(chance, 1e-12, 1 - 1e-12))
    signed = np.where(yes, 1.0, -1.0) * (odds + shifts[:, None, None])
    logs = -LIKELIHOOD_POWER * (np.logaddexp(0, -signed) @ counts).mean(axis=1)
    if len(shifts) == 1:
        return float(logs[0])
    logs = logs - 0.5 * ((shifts - shifts.mean()) / _SHIFT_SPREAD) ** 2
    return float(logs.max() + np.log(np.exp(logs - logs.max()).sum()))


def _summary(values: Floats) -> Floats:
    """(cuts, 3) mean and 90 % interval of draws (draws, cuts)."""
    ends = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.stack([values.mean(axis=0), *ends], axis=1)
