# SPDX-License-Identifier: Apache-2.0
"""The formulas that measurements are held against, each with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np

SERIES_END = 1e-18
QUADRATURE_POINTS = 400


def log_hypergeometric_0f1(b: float, z: float) -> float:
    """ln 0F1(; b; z) = ln sum_k z^k / (k! (b)_k) for z > 0, by its series in the log domain."""
    term = total = 0.0
    for k in range(1, 1_000_000):
        term += math.log(z) - math.log(k) - math.log(b + k - 1)
        total = float(np.logaddexp(total, term))
        if term < total + math.log(SERIES_END):
            return total
    raise ValueError(f"the series does not end at b = {b}, z = {z}")


def critical_count(dim: int, beta: float) -> float:
    """N*: among so many random unit vectors a stored one keeps half of its own softmax weight.

    N* - 1 = exp(beta) / E[exp(beta x.y)], and that mean over the sphere is
    Gamma(d/2) (2/beta)^(d/2-1) I_{d/2-1}(beta) = 0F1(; d/2; beta^2/4), I being the modified Bessel
    function. To first order in d its logarithm is d alpha_1 of Lucibello & Mezard 2024.
    """
    return 1 + math.exp(beta - log_hypergeometric_0f1(dim / 2, beta * beta / 4))


def critical_load(dim: int, beta: float) -> float:
    """alpha_1 of Lucibello & Mezard 2024 for spherical patterns: N* ~ exp(alpha_1 d)."""
    load = beta / dim
    root = math.sqrt(1 + 4 * load * load)
    return load - (root - 1) / 2 + math.log((root + 1) / 2) / 2


def self_weight(count: float, critical: float) -> float:
    """The weight of a stored item at itself among `count`, if the others have their mean sum."""
    return 1 / (1 + (count - 1) / (critical - 1))


def lambert_w(x: float) -> float:
    """W0, the solution of w exp(w) = x for x >= 0, by Halley's method."""
    w = math.log1p(x)
    for _ in range(100):
        f = w * math.exp(w) - x
        step = f / (math.exp(w) * (w + 1) - (w + 2) * f / (2 * w + 2))
        w -= step
        if abs(step) <= 1e-15 * (1 + abs(w)):
            break
    return w


def capacity_constant(beta: float, radius_factor: float, dim: int, failure: float) -> float:
    """c of Ramsauer et al. 2021 Theorem 3: sqrt(p) c^((d-1)/4) random patterns on a sphere of
    radius K sqrt(d-1) can be stored, but with probability p. radius_factor: K; failure: p."""
    squared = beta * radius_factor**2
    a = 2 / (dim - 1) * (1 + math.log(2 * squared * failure * (dim - 1)))
    b = 2 * squared / 5
    return b / lambert_w(math.exp(a + math.log(b)))


def cap_share(dim: int, distance: float) -> float:
    """The share of the unit sphere that is nearer than `distance` to a point on it:
    I_{1-c^2}((d-1)/2, 1/2) / 2 with c = 1 - distance^2/2, here as an integral over the angle."""
    angle = 2 * math.asin(distance / 2)
    points, weights = np.polynomial.legendre.leggauss(QUADRATURE_POINTS)

    def area(end: float) -> float:
        return float(end / 2 * (weights * np.sin((points + 1) * end / 2) ** (dim - 2)).sum())

    return area(angle) / area(math.pi)


def isolated_share(dim: int, count: int, distance: float) -> float:
    """The expected share of `count` random unit vectors with no other nearer than `distance`."""
    return (1 - cap_share(dim, distance)) ** (count - 1)


def calibration_error(confidence: np.ndarray, is_right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: |mean confidence - share that is right|, by bins of equal width,
    weighted by how many fall into each."""
    placed = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = (
        (placed == bin_).mean()
        * abs(confidence[placed == bin_].mean() - is_right[placed == bin_].mean())
        for bin_ in np.unique(placed)
    )
    return float(sum(gaps))


def calibration_floor(confidence: np.ndarray, rng: np.random.Generator, draws: int = 200) -> float:
    """The mean calibration error of outcomes that are right exactly as often as stated: what so
    many samples show by chance alone."""
    outcomes = rng.random((draws, len(confidence))) < confidence
    return float(np.mean([calibration_error(confidence, outcome) for outcome in outcomes]))


def polynomial_bit_error(power: int, count: int, dim: int) -> float:
    """The share of bits that one update gets wrong, from one of `count` random patterns under the
    energy -sum z^power: 1/2 erfc(1 / sqrt(2 v)), v = count (2 power - 3)!! / dim^(power - 1)
    (Krotov & Hopfield 2016, eq. 7)."""
    variance = count * math.prod(range(2 * power - 3, 0, -2)) / dim ** (power - 1)
    return 0.5 * math.erfc(1 / math.sqrt(2 * variance))


def ball_share(dim: int, radius: int) -> Fraction:
    """The share of all addresses of `dim` signs that lie within Hamming distance `radius` of one,
    sum_{k <= radius} C(dim, k) / 2^dim, exactly (Kanerva 1988)."""
    return Fraction(sum(math.comb(dim, k) for k in range(radius + 1)), 2**dim)


def shared_ball_shares(dim: int, radius: int) -> np.ndarray:
    """The share of all addresses within `radius` of both of two, by the distance of these, [dim+1].
    Of an address, a of the signs in which the two differ are unlike the first's, and so
    distance - a unlike the second's; what is left of the radius bounds the others."""
    shares = []
    for distance in range(dim + 1):
        ball = list(accumulate(math.comb(dim - distance, k) for k in range(dim - distance + 1)))
        count = 0
        for a in range(distance + 1):
            left = radius - max(a, distance - a)
            if left >= 0:
                count += math.comb(distance, a) * ball[min(left, dim - distance)]
        shares.append(float(Fraction(count, 2**dim)))
    return np.array(shares)


@dataclass(frozen=True)
class SparseMemory:
    """A sparse distributed memory of `count` random items that are their own addresses, in
    `locations` random ones. shared: shared_ball_shares(dim, radius); count: at least 2."""

    shared: np.ndarray
    locations: int
    count: int

    @property
    def dim(self) -> int:
        return len(self.shared) - 1

    def reading_error(self, distance: int) -> float:
        """The expected share of wrong signs after one reading from an item with `distance` of its
        signs flipped, by signal and noise, with sums as Gaussian.

        L locations that the cue and an item activate add the item's signs L times. For the item
        sought L has the binomial mean M f(distance). Each of the others is at a random distance D
        of the cue: its part in the variance is E[L^2] = M E[f(D)] + M (M-1) E[f(D)^2], where
        E[f(D)] = f(0)^2; and since the more of them are shared the more the item is like the cue,
        their mean is no zero but M E[f(D) (1 - 2 D/dim)] times the cue's own sign."""
        at = np.arange(self.dim + 1)
        of_random = np.array([math.comb(self.dim, k) / 2**self.dim for k in at])
        locations, others, own = self.locations, self.count - 1, self.shared[distance]
        squares = locations * self.shared[0] ** 2
        squares += locations * (locations - 1) * (of_random * self.shared**2).sum()
        lean = others * locations * (of_random * self.shared * (1 - 2 * at / self.dim)).sum()
        spread = math.sqrt(2 * (others * squares + locations * own * (1 - own)))
        kept = math.erfc((locations * own + lean) / spread) / 2
        flipped = math.erfc((locations * own - lean) / spread) / 2
        return float(kept + (flipped - kept) * distance / self.dim)

    def critical_distance(self) -> int:
        """The least distance at which one reading leads no nearer to the item; half of the signs,
        at which nothing is left of it, if there is none."""
        for distance in range(1, self.dim // 2):
            if self.reading_error(distance) * self.dim >= distance:
                return distance
        return self.dim // 2
