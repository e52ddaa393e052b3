# SPDX-License-Identifier: Apache-2.0
"""C2: what the posterior of an l2 memory is worth: calibration, denoising and completion."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from claims.formulas import calibration_error, calibration_floor
from claims.images import HALF, VISIBLE_HALF, Images, mean_square, noisy, stride, without_half
from claims.memory import Bench
from claims.report import Check, Claim, Table

INDEX, FLAT = "posterior", "posterior-flat"
ASKED = 200
SEEDS = 5  # not fewer for --quick: few cues alone make an error of calibration
SETTLED = 400  # of the cues are followed to convergence, which takes many updates
UNSEEN = 500
NEIGHBOURS = 16
NEAREST_BETA = 1e6
RELATIVE_TOLERANCE, LEAST_TOLERANCE = 0.10, 0.001  # of squared errors under noise
NOISE_TOLERANCE = 0.04
# By sigma: identified by the nearest neighbour, its squared error, the posterior mean's, ECE.
NOISE = {
    0.5: (0.990, 0.0001, 0.0000, 0.011),
    1.0: (0.780, 0.0055, 0.0042, 0.047),
    1.5: (0.420, 0.0266, 0.0174, 0.048),
    2.0: (0.175, 0.0555, 0.0316, 0.053),
}
CONVERGED_SIGMA, CONVERGED_IDENTIFIED = 1.5, 0.135
# By sigma: identified, squared error of the nearest neighbour's half and of the posterior's.
MASKED = {0.6: (0.775, 0.0112, 0.0074), 1.0: (0.315, 0.0496, 0.0297)}
UNSEEN_ERRORS = {"softmax 1": 0.0350, "entmax15 .3": 0.0332, "sparsemax .1": 0.0333}
UNSEEN_CONTROLS = {"masked NN": 0.0534, "masked kNN mean": 0.0338, "mean image": 0.0926}
UNSEEN_OPTIONS: dict[str, dict[str, Any]] = {
    "softmax 1": {"beta": 1},
    "entmax15 .3": {"beta": 0.3, "sep": "entmax15"},
    "sparsemax .1": {"beta": 0.1, "sep": "sparsemax"},
}
DRAWS = 20  # from which the spread of the reference table is told
LEAST_IDENTIFIED, LEAST_GAIN, MOST_ERROR = 0.99, 0.30, 0.06  # what must be shown


def run(bench: Bench) -> Claim:
    claim = Claim(
        "C2",
        "noise and hidden halves: posterior, calibration, completion",
        "Figures found with numpy beforehand, Fashion-MNIST; the calibrated posterior is that "
        "of a mixture of gaussians",
        f"hopfield, METRIC l2. {ASKED} stored images at even stride, {SEEDS} draws "
        "of the noise; NOISE sigma, that is, BETA 1 / sigma^2, one update. Squared errors are per "
        "coordinate, with hidden halves of the hidden coordinates alone. ECE: of the weight of "
        f"the heaviest item at the cue, 10 bins; with as few cues as these a good part of it is chance "
        f"(200 cues of a perfect posterior give about .05). kNN mean: of {NEIGHBOURS} neighbours.",
        bench.seed,
    )
    for count in (1000, 10_000):
        rows = Images.read(count).stored
        bench.memory.build(INDEX, rows, "l2")
        bench.memory.build(FLAT, rows, "l2", "flat")
        _hidden(bench, claim, rows)
        if count == 1000 and bench.quick:
            continue
        _noise(bench, claim, rows)
        if count == 10_000:
            _masked_noise(bench, claim, rows)
            _unseen(bench, claim, rows)
    bench.memory.drop(INDEX, FLAT)
    return claim


def _draws(bench: Bench, rows: np.ndarray) -> tuple[np.ndarray, np.random.Generator]:
    return np.tile(stride(len(rows), ASKED), SEEDS), np.random.default_rng(bench.seed)


def _hidden(bench: Bench, claim: Claim, rows: np.ndarray) -> None:
    """Half-hidden cues, with what is hidden told and untold."""
    wanted = stride(len(rows), ASKED)
    cues = without_half(rows[wanted])
    zero = bench.memory.recall(INDEX, cues, "C2 half", beta=4, steps=1, top=0)
    masked = bench.memory.recall(INDEX, cues, "C2 half", beta=4, mask=VISIBLE_HALF, top=0)
    identified = float((masked.onestep == wanted).mean())
    what = f"half hidden, N = {len(rows):,}"
    claim.checks.append(
        Check(f"{what}: identified with MASK", LEAST_IDENTIFIED, identified, relation="at least")
    )
    neighbours = bench.memory.nearest(FLAT, cues)[:, 0]
    near = _visible_neighbours(rows, cues)
    claim.tables.append(
        Table(
            f"Half hidden, no noise, N = {len(rows):,}",
            ("", "identified", "squared error of the hidden half"),
            [
                ("NN, zero-filled", *_half_scores(neighbours, rows[neighbours], rows, wanted)),
                (
                    "hopfield l2 4, zero-filled",
                    *_half_scores(zero.onestep, zero.states, rows, wanted),
                ),
                ("NN, masked (numpy)", *_half_scores(near[:, 0], rows[near[:, 0]], rows, wanted)),
                ("kNN mean, masked (numpy)", "-", _half_error(rows[near].mean(1), rows[wanted])),
                ("hopfield l2 4, MASK", *_half_scores(masked.onestep, masked.states, rows, wanted)),
            ],
        )
    )


def _half_scores(
    found: np.ndarray, images: np.ndarray, rows: np.ndarray, wanted: np.ndarray
) -> tuple[float, float]:
    return float((found == wanted).mean()), _half_error(images, rows[wanted])


def _half_error(images: np.ndarray, originals: np.ndarray) -> float:
    return mean_square(images[:, HALF:], originals[:, HALF:])


def _visible_neighbours(rows: np.ndarray, cues: np.ndarray) -> np.ndarray:
    """The nearest by the visible half, in numpy: [cues, NEIGHBOURS]."""
    seen = rows[:, :HALF].astype(np.float64)
    scores = cues[:, :HALF].astype(np.float64) @ seen.T - (seen**2).sum(axis=1) / 2
    near = np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    order = np.argsort(-np.take_along_axis(scores, near, axis=1), axis=1)
    return np.take_along_axis(near, order, axis=1)


def _noise(bench: Bench, claim: Claim, rows: np.ndarray) -> None:
    wanted, rng = _draws(bench, rows)
    has_reference = len(rows) == 10_000
    table, reliabilities, errors = [], {}, {}
    for sigma, expected in NOISE.items():
        cues = noisy(rows[wanted], rng, sigma)
        near = bench.memory.nearest(FLAT, cues, NEIGHBOURS)
        found = bench.memory.recall(INDEX, cues, f"C2 sigma {sigma}", noise=sigma, steps=1, top=0)
        sharp = bench.memory.recall(
            INDEX, cues, f"C2 sigma {sigma}", beta=4 / sigma**2, steps=0, top=0
        )
        settled = bench.memory.recall(
            INDEX, cues[:SETTLED], f"C2 sigma {sigma}", noise=sigma, top=0
        )
        is_right = found.onestep == wanted
        seen = (
            float((near[:, 0] == wanted).mean()),
            mean_square(rows[near[:, 0]], rows[wanted]),
            mean_square(found.states, rows[wanted]),
            calibration_error(found.posteriors, is_right),
        )
        neighbours_mean = mean_square(rows[near].mean(axis=1), rows[wanted])
        at_rest = float((settled.attractors == wanted[:SETTLED]).mean())
        table.append(
            (
                sigma,
                seen[0],
                float(is_right.mean()),
                at_rest,
                seen[1],
                neighbours_mean,
                seen[2],
                mean_square(settled.states, rows[wanted[:SETTLED]]),
                seen[3],
                calibration_floor(found.posteriors, rng),
                calibration_error(sharp.posteriors, sharp.onestep == wanted),
            )
        )
        reliabilities[sigma] = (found.posteriors, is_right)
        errors[sigma] = (seen[1], neighbours_mean, seen[2])
        if has_reference:
            why = _spread(bench, rows, sigma, None)
            _check_noise(claim, sigma, expected, seen, at_rest, why)
    claim.tables.append(
        Table(
            f"Noise, N = {len(rows):,}, {len(wanted)} cues: identified by NN, by the posterior, "
            "after convergence; squared errors of NN, kNN mean, posterior mean, converged state; "
            "ECE, what it would be on average if the posteriors were perfect, and with 4 times that "
            "beta",
            (
                "sigma",
                "id NN",
                "id posterior",
                "id converged",
                "NN",
                "kNN mean",
                "posterior mean",
                "converged",
                "ECE",
                "ECE if perfect",
                "ECE, 4 beta",
            ),
            table,
        )
    )
    if has_reference:
        claim.draw = lambda pyplot: _draw(pyplot, reliabilities, errors)


def _check_noise(
    claim: Claim,
    sigma: float,
    expected: tuple[float, float, float, float],
    seen: tuple[float, float, float, float],
    at_rest: float,
    why: Sequence[str],
) -> None:
    what = f"sigma {sigma:g}, N = 10,000"
    claim.checks += [
        Check(f"{what}: identified by NN", expected[0], seen[0], NOISE_TOLERANCE, why=why[0]),
        Check(
            f"{what}: squared error of NN", expected[1], seen[1], _allowed(expected[1]), why=why[1]
        ),
        Check(
            f"{what}: of the posterior mean",
            expected[2],
            seen[2],
            _allowed(expected[2]),
            why=why[2],
        ),
        Check(f"{what}: ECE", expected[3], seen[3], NOISE_TOLERANCE),
        Check(f"{what}: ECE must be", MOST_ERROR, seen[3], relation="at most"),
    ]
    if sigma == CONVERGED_SIGMA:
        gain = 1 - seen[2] / seen[1]
        claim.checks += [
            Check(
                f"{what}: posterior mean's error below the nearest neighbour's by",
                LEAST_GAIN,
                gain,
                relation="at least",
            ),
            Check(
                f"{what}: identified after convergence",
                CONVERGED_IDENTIFIED,
                at_rest,
                NOISE_TOLERANCE,
            ),
        ]


def _spread(bench: Bench, rows: np.ndarray, sigma: float, visible: int | None) -> list[str]:
    """How far draws of the noise lie apart for the reference table's 200 cues, by numpy: what
    explains a difference of identification, or of the errors of NN and of the posterior mean."""
    wanted = stride(len(rows), ASKED)
    rng = np.random.default_rng(bench.seed + 1)
    draws = []
    for _ in range(bench.size(DRAWS, 5)):
        cues = noisy(rows[wanted], rng, sigma)[:, :visible]
        scores = cues @ rows[:, :visible].T - (rows[:, :visible] ** 2).sum(axis=1) / 2
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / sigma**2)
        weights /= weights.sum(axis=1, keepdims=True)
        found = scores.argmax(axis=1)
        images = (rows[found], weights @ rows)
        hidden = slice(visible, None)
        errors = [mean_square(image[:, hidden], rows[wanted, hidden]) for image in images]
        draws.append((float((found == wanted).mean()), *errors))
    means, deviations = np.mean(draws, axis=0), np.std(draws, axis=0, ddof=1)
    return [
        f"the table has one draw of the noise for {ASKED} cues, this run the mean of "
        f"{SEEDS}. In {len(draws)} other draws numpy alone finds {mean:.4f} with a "
        f"standard deviation of {deviation:.4f} from draw to draw."
        for mean, deviation in zip(means, deviations)
    ]


def _allowed(expected: float) -> float:
    return max(RELATIVE_TOLERANCE * expected, LEAST_TOLERANCE)


def _masked_noise(bench: Bench, claim: Claim, rows: np.ndarray) -> None:
    wanted, rng = _draws(bench, rows)
    table = []
    for sigma, expected in MASKED.items():
        cues = noisy(rows[wanted], rng, sigma)
        found, nearest = (
            bench.memory.recall(
                INDEX, cues, f"C2 masked {sigma}", mask=VISIBLE_HALF, beta=beta, top=0
            )
            for beta in (1 / sigma**2, NEAREST_BETA)
        )
        near = _visible_neighbours(rows, cues)
        seen = (
            float((nearest.onestep == wanted).mean()),
            _half_error(nearest.states, rows[wanted]),
            _half_error(found.states, rows[wanted]),
        )
        what = f"upper half with sigma {sigma:g}, lower hidden, N = 10,000"
        why = _spread(bench, rows, sigma, HALF)
        claim.checks += [
            Check(f"{what}: identified", expected[0], seen[0], NOISE_TOLERANCE, why=why[0]),
            Check(
                f"{what}: error of masked NN",
                expected[1],
                seen[1],
                _allowed(expected[1]),
                why=why[1],
            ),
            Check(
                f"{what}: of the posterior", expected[2], seen[2], _allowed(expected[2]), why=why[2]
            ),
        ]
        table.append(
            (
                sigma,
                float((near[:, 0] == wanted).mean()),
                float((found.onestep == wanted).mean()),
                _half_error(rows[near[:, 0]], rows[wanted]),
                _half_error(rows[near].mean(axis=1), rows[wanted]),
                seen[2],
                calibration_error(found.posteriors, found.onestep == wanted),
            )
        )
    claim.tables.append(
        Table(
            f"Noise on the visible half, MASK, N = 10,000, {len(wanted)} cues; neighbours by numpy",
            ("sigma", "id NN", "id posterior", "NN", "kNN mean", "posterior mean", "ECE"),
            table,
        )
    )


def _unseen(bench: Bench, claim: Claim, rows: np.ndarray) -> None:
    """Lower halves of images that are not stored."""
    originals = Images.read(1).unseen[: bench.size(UNSEEN, UNSEEN)]
    near = _visible_neighbours(rows, originals)
    controls = {
        "masked NN": _half_error(rows[near[:, 0]], originals),
        "masked kNN mean": _half_error(rows[near].mean(axis=1), originals),
        "mean image": _half_error(np.tile(rows.mean(axis=0), (len(originals), 1)), originals),
    }
    for name, expected in UNSEEN_CONTROLS.items():
        claim.checks.append(
            Check(f"unseen images, hidden half: {name} (numpy)", expected, controls[name], 1e-4)
        )
    for name, expected in UNSEEN_ERRORS.items():
        found = bench.memory.recall(
            INDEX, originals, "C2 unseen", mask=VISIBLE_HALF, top=0, **UNSEEN_OPTIONS[name]
        )
        error = _half_error(found.states, originals)
        claim.checks.append(Check(f"unseen images, hidden half: {name}", expected, error, 1e-4))


def _draw(
    pyplot: Any,
    reliabilities: dict[float, tuple[np.ndarray, np.ndarray]],
    errors: dict[float, tuple[float, float, float]],
) -> Any:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.8))
    for sigma, (confidence, is_right) in reliabilities.items():
        placed = np.minimum((confidence * 10).astype(int), 9)
        bins = np.unique(placed)
        points = [
            (confidence[placed == bin_].mean(), is_right[placed == bin_].mean()) for bin_ in bins
        ]
        error = calibration_error(confidence, is_right)
        left.plot(*zip(*points), marker="o", label=f"sigma {sigma:g}, ECE {error:.3f}")
    left.plot((0, 1), (0, 1), color="black", linewidth=1, linestyle=":")
    left.set(xlabel="posterior of the heaviest item", ylabel="share that is right")
    left.set_title("Calibration, NOISE sigma, N = 10,000")
    left.legend()
    names = ("nearest neighbour", f"mean of {NEIGHBOURS} neighbours", "posterior mean")
    places = np.arange(len(errors))
    for at, name in enumerate(names):
        right.bar(places + 0.27 * (at - 1), [row[at] for row in errors.values()], 0.25, label=name)
    right.set_xticks(places, [f"sigma {sigma:g}" for sigma in errors])
    right.set(ylabel="squared error per pixel", title="Denoising")
    right.legend()
    for axes in (left, right):
        axes.grid(True, alpha=0.3)
    return figure
