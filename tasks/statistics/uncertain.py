"""An estimate whose variance has two parts: between rounds, and between documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

LEAST_SHARE = 0.7
_LEAST_P = 1e-15


@dataclass(frozen=True)
class Estimate:
    """An estimate on the log scale.

    The quantile is the mean of the parts' t quantiles, weighted by their variances (W. G. Cochran,
    "Approximate significance levels of the Behrens-Fisher test", Biometrics 20, 1964). For normal
    errors its coverage is never below nominal and at most 97.1 % at two degrees of freedom, where
    Satterthwaite's approximation falls to 92 %: it takes too many degrees of freedom just when the
    variance between rounds came out small by chance.

    A negative document variance may lower the sum, since setting it to zero would bias the sum
    upwards, but not below ``LEAST_SHARE`` of the variance between rounds: the estimate is noisy.

    Attributes:
        value: the estimate.
        round_variance: its variance from round to round.
        document_variance: its variance due to the choice of documents; may be negative.
        round_df: degrees of freedom of the first.
        document_df: degrees of freedom of the second.
    """

    value: float
    round_variance: float
    document_variance: float
    round_df: float
    document_df: float

    @property
    def variance(self) -> float:
        """Of the estimate, both parts."""
        return max(self.round_variance + self.document_variance, LEAST_SHARE * self.round_variance, 0.0)

    @property
    def standard_error(self) -> float:
        """Square root of the variance."""
        return float(np.sqrt(self.variance))

    def critical(self, tail: float) -> float:
        """How many standard errors leave a probability of ``tail`` beyond, on one side."""
        rounds = -float(special.stdtrit(self.round_df, tail))
        if self.document_variance <= 0:
            return rounds
        documents = -float(special.stdtrit(self.document_df, tail))
        return rounds + (documents - rounds) * self.document_variance / self.variance

    def low(self, tail: float) -> float:
        """Lower bound that the truth is below with probability ``tail``."""
        return self.value - self.critical(tail) * self.standard_error

    def high(self, tail: float) -> float:
        """Upper bound that the truth is above with probability ``tail``."""
        return self.value + self.critical(tail) * self.standard_error

    def p_above(self, bound: float = 0.0) -> float:
        """One-sided p-value of "the truth is at most ``bound``"."""
        if not self.variance:
            return float(self.value <= bound)
        score = (self.value - bound) / self.standard_error
        return self._tail(score) if score >= 0 else 1 - self._tail(-score)

    def p_below(self, bound: float = 0.0) -> float:
        """One-sided p-value of "the truth is at least ``bound``"."""
        if not self.variance:
            return float(self.value >= bound)
        return 1 - self.p_above(bound)

    def p_value(self, truth: float = 0.0) -> float:
        """Two-sided p-value of "the truth is ``truth``"; the interval of 1 - p ends there."""
        return min(1.0, 2 * min(self.p_above(truth), self.p_below(truth)))

    def _tail(self, score: float) -> float:
        """The probability whose critical value is a score of at least 0."""
        if self.document_variance <= 0:
            return float(special.stdtr(self.round_df, -score))
        if score >= self.critical(_LEAST_P):
            return _LEAST_P
        log_p = optimize.brentq(
            lambda x: self.critical(float(np.exp(x))) - score, np.log(_LEAST_P), np.log(0.5), xtol=1e-9
        )
        return float(np.exp(log_p))
