"""What one model or several believe about votes: for each question a mixture of Dirichlets.

A Dirichlet is one model's belief about the fractions of endless volunteers. Several models that are
trusted equally make an equal mixture, whose moments and quantiles are those of the mixture itself,
not means of the models' own. In numpy and float64, a batch of galaxies at a time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hoag.errors import HoagError
from hoag.posteriors import asked_of_each, check_shape, tail_of, vote_ends
from hoag.schema import Schema

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_HALVINGS = 45  # of the bracket of a quantile: beyond float32


@dataclass(frozen=True)
class Beliefs:
    """Beliefs about the votes of a batch of galaxies.

    Attributes
    ----------
    concentrations
        (models, batch, answers) float64, > 0: a Dirichlet a model, galaxy and question.
    schema
        Says which answers belong to which question and lead to which.

    Examples
    --------
    >>> import numpy as np, hoag
    >>> schema = hoag.load_schema("gz2")
    >>> beliefs = Beliefs.of([np.ones((1, 37))], schema)
    >>> float(beliefs.fraction()[0, 0])  # a third of volunteers for each of three answers
    0.3333333333333333
    """

    concentrations: Floats
    schema: Schema

    @classmethod
    def of(cls, concentrations: "list[Any] | tuple[Any, ...]", schema: Schema) -> "Beliefs":
        """Make beliefs of each model's concentrations, each (batch, answers), > 0.

        Raises
        ------
        HoagError
            If there are none, a shape does not fit the schema, or a value is not above 0.
        """
        if not concentrations:
            raise HoagError("beliefs need the concentrations of one model or more")
        arrays = [np.asarray(each, np.float64) for each in concentrations]
        for each in arrays:
            check_shape("concentrations", each, schema)
        if len({len(each) for each in arrays}) > 1:
            raise HoagError("the models' concentrations are of different numbers of galaxies")
        stacked = np.stack(arrays)
        if not (np.isfinite(stacked).all() and (stacked > 0).all()):
            raise HoagError("a concentration is not a number above 0, so it is no Dirichlet")
        return cls(stacked, schema)

    def select(self, schema: Schema) -> "Beliefs":
        """Keep the questions of another schema, all of which must be in this one."""
        place = {column: index for index, column in enumerate(self.schema.columns)}
        chosen = [place[column] for column in schema.columns]
        return Beliefs(self.concentrations[:, :, chosen], schema)

    @property
    def _rest(self) -> Floats:
        """Concentration of all other answers to the same question; (models, batch, answers)."""
        return self._whole[:, :, self.schema.question_index] - self.concentrations

    @property
    def _whole(self) -> Floats:
        return np.add.reduceat(self.concentrations, self.schema.starts, axis=2)

    def _fractions(self) -> Floats:
        whole = self._whole[:, :, self.schema.question_index]
        return np.asarray(self.concentrations / whole)

    def fraction(self) -> Floats:
        """Expected fraction of volunteers giving each answer, of those asked; (batch, answers)."""
        return np.asarray(self._fractions().mean(axis=0))

    def deviation(self) -> Floats:
        """Standard deviation of that fraction, (batch, answers): within models and between them."""
        each = self._fractions()
        whole = self._whole[:, :, self.schema.question_index]
        within = each * (1 - each) / (whole + 1)
        return np.sqrt(within.mean(axis=0) + each.var(axis=0))

    def fraction_interval(self, level: float = 0.9) -> tuple[Floats, Floats]:
        """Central interval of the fraction that endless volunteers would give.

        Parameters
        ----------
        level
            Probability inside, in (0, 1).

        Returns
        -------
        tuple of ndarray
            Lower and upper ends, each (batch, answers), in [0, 1].
        """
        tail = tail_of(level)
        return self._quantile(tail), self._quantile(1 - tail)

    def _quantile(self, probability: float) -> Floats:
        from scipy.special import betainc, betaincinv

        this, rest = self.concentrations, self._rest
        each = betaincinv(this, rest, probability)
        low, high = each.min(axis=0), each.max(axis=0)
        if len(each) == 1:
            return np.asarray(each[0])
        # The mixture's quantile lies between those of its parts, where its CDF only rises.
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = betainc(this, rest, middle).mean(axis=0) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray((low + high) / 2)

    def vote_interval(
        self, volunteers: int | ArrayLike, level: float = 0.9
    ) -> tuple[Counts, Counts]:
        """Interval of the votes for each answer of N volunteers who are asked the question.

        Both ends belong to it. Votes are whole, so it holds at least `level`: no more than half of
        the rest lies below it and no more than half above.

        Parameters
        ----------
        volunteers
            N: one number, or (batch, questions) whole numbers, >= 0.
        level
            Probability inside, in (0, 1).

        Returns
        -------
        tuple of ndarray
            Lower and upper ends, each (batch, answers) int64, in 0..N.
        """
        asked_of = asked_of_each(volunteers, self.concentrations.shape[1:], self.schema)
        return vote_ends(asked_of, self.concentrations, self._rest, level)

    def probability_asked(self) -> Floats:
        """Probability that a volunteer is asked each question, (batch, questions), in [0, 1].

        The mean over models of `hoag.votes.probability_asked`: the product of expected fractions
        down the tree, summed over the parent answers of a question that has several.
        """
        import torch

        from hoag.votes import probability_asked

        each = [
            probability_asked(torch.from_numpy(one), self.schema).numpy()
            for one in self.concentrations
        ]
        return np.asarray(np.mean(each, axis=0))

    def entropy(self) -> Floats:
        """Entropy of one volunteer's answer to each question, (batch, questions), in bits.

        Shannon's entropy of the expected fractions: 0 where all agree, 1 where a yes and a no are
        equally likely, log2 of the number of answers at most.
        """
        from scipy.special import entr

        terms = entr(self.fraction()) / np.log(2)
        return np.asarray(np.add.reduceat(terms, self.schema.starts, axis=1))
