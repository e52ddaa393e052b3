# SPDX-License-Identifier: Apache-2.0
"""The formulas that anchors.py holds engram against, its verdicts and its report."""

import math

import numpy as np
import pytest

from anchors import ANCHORS, chosen, refuse_missed
from claims.agent import Reranker, draw_stream
from claims.exact_retrieval import basins, cues_at
from claims.formulas import (
    SparseMemory,
    ball_share,
    calibration_error,
    calibration_floor,
    cap_share,
    capacity_constant,
    critical_count,
    critical_load,
    isolated_share,
    lambert_w,
    log_hypergeometric_0f1,
    polynomial_bit_error,
    self_weight,
    shared_ball_shares,
)
from claims.images import HALF, clip_noisy, dropped, share_close, stride, without_half
from claims.learning import bounded, dreaming, relax
from claims.memorisation import nearest_distances
from claims.metastable import TOLERANCE, tolerance
from claims.need import EDGES, LAST_DAY, POLICIES, asked_days, auc, need_odds, read_changes
from claims.reinforcement import holders_of_half, simulate
from claims.report import Check, Claim, Table, render, shown_command
from common import UserError


def test_the_series_is_the_sine_and_the_exponential():
    # 0F1(; 3/2; z^2/4) = sinh(z) / z, 0F1(; 1/2; z^2/4) = cosh(z)
    for z in (0.1, 3.0, 40.0, 600.0):
        log_sinh = z + math.log1p(-math.exp(-2 * z)) - math.log(2 * z)
        assert log_hypergeometric_0f1(1.5, z * z / 4) == pytest.approx(log_sinh, rel=1e-12)
    assert log_hypergeometric_0f1(0.5, 1.0) == pytest.approx(math.log(math.cosh(2)))


def test_the_critical_count_is_the_mean_over_random_pairs():
    assert round(critical_count(50, 10)) == 8254
    assert round(critical_count(32, 10)) == 4926
    rng = np.random.default_rng(7)
    # The first coordinate of a random unit vector is its product with a fixed one.
    rows = rng.standard_normal((200_000, 5))
    products = rows[:, 0] / np.linalg.norm(rows, axis=1)
    assert critical_count(5, 2) == pytest.approx(
        1 + math.exp(2) / np.exp(2 * products).mean(), 0.01
    )


def test_the_load_is_the_count_to_first_order():
    assert round(math.exp(50 * critical_load(50, 10))) == 8259
    assert math.log(critical_count(1000, 100)) / 1000 == pytest.approx(
        critical_load(1000, 100), abs=1e-4
    )


def test_an_item_keeps_half_of_its_weight_at_the_critical_count():
    assert self_weight(1, 100) == 1
    assert self_weight(100, 100) == 0.5


@pytest.mark.parametrize("w", [0.0, 1e-9, 0.5, 1.0, 3.0, 50.0])
def test_lambert_w_inverts(w):
    assert lambert_w(w * math.exp(w)) == pytest.approx(w, rel=1e-12)


def test_the_constants_of_ramsauer():
    assert capacity_constant(1, 3, 20, 0.001) == pytest.approx(3.1546, abs=1e-4)
    assert capacity_constant(1, 1, 75, 0.001) == pytest.approx(1.3718, abs=1e-4)


def test_the_bit_error_of_polynomial_energies():
    assert polynomial_bit_error(2, 20, 100) == pytest.approx(0.0127, abs=1e-4)
    assert polynomial_bit_error(3, 600, 100) == pytest.approx(0.0092, abs=1e-4)


def test_the_share_of_a_cap():
    assert cap_share(32, math.sqrt(2)) == pytest.approx(0.5)
    assert cap_share(32, 2.0) == pytest.approx(1.0)
    # In three dimensions the area is proportional to the height.
    assert cap_share(3, 0.4) == pytest.approx(0.4**2 / 4)
    assert isolated_share(32, 10_000, 0.8772) == pytest.approx(0.5, abs=0.002)


def test_the_share_of_a_ball_of_addresses():
    assert float(ball_share(1000, 451)) == pytest.approx(0.001072, abs=1e-6)
    assert ball_share(9, 4) * 2 == ball_share(9, 9) == 1


def test_the_share_of_two_balls_is_that_of_a_count():
    dim = 8
    for radius in (0, 3, 4, 6, 8):
        near = [[(a ^ b).bit_count() <= radius for a in range(2**dim)] for b in (0, 7, 31, 255)]
        counted = [sum(a and b for a, b in zip(near[0], other)) / 2**dim for other in near]
        shares = shared_ball_shares(dim, radius)
        assert shares[[0, 3, 5, 8]].tolist() == counted


def test_readings_get_worse_with_load_and_distance():
    shared = shared_ball_shares(64, 24)
    few, many = (SparseMemory(shared, 1000, count) for count in (10, 300))
    errors = [few.reading_error(distance) for distance in range(33)]
    assert errors == sorted(errors)
    assert errors[0] < 1e-3 and errors[8] < many.reading_error(8) < 0.5
    assert many.critical_distance() < few.critical_distance() <= 32


def test_the_error_of_a_reading_is_that_of_a_plain_memory():
    dim, radius, locations, count, flips = 64, 24, 1000, 40, 6
    model = SparseMemory(shared_ball_shares(dim, radius), locations, count)
    rng = np.random.default_rng(11)
    wrong = []
    for _ in range(20):
        addresses, items = (rng.choice([-1.0, 1.0], (rows, dim)) for rows in (locations, count))
        cues = items.copy()
        cues[:, :flips] *= -1
        counters = (addresses @ items.T >= dim - 2 * radius) @ items
        sums = (cues @ addresses.T >= dim - 2 * radius) @ counters
        wrong.append((np.where(sums == 0, cues, sums) * items < 0).mean())
    assert np.mean(wrong) == pytest.approx(model.reading_error(flips), abs=0.02)


def test_calibration_error():
    confidence = np.array([0.95, 0.95, 0.25, 0.25])
    right = np.array([True, True, True, False])
    assert calibration_error(confidence, right) == pytest.approx(0.5 * 0.05 + 0.5 * 0.25)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0
    assert calibration_error(np.array([1.0]), np.array([False])) == 1


def test_chance_alone_makes_an_error_of_calibration_that_more_samples_lessen():
    rng = np.random.default_rng(3)
    few, many = (calibration_floor(rng.random(count), rng) for count in (200, 20_000))
    assert 0.05 < few < 0.12 and many < 0.015


def test_half_way_to_the_nearest_is_the_border_when_weights_are_all_or_nothing():
    rows = np.array([[0, 0], [2, 0], [0, 5]], np.float32)
    found = basins(rows, np.array([0, 2]), "l2", beta=1e12, margin=1)
    assert found.radii == pytest.approx([1.0, 2.5])
    assert found.across.tolist() == [1, 0]
    assert basins(rows, np.array([0]), "l2", beta=1, margin=1).radii == pytest.approx([0.5])
    towards = rows[found.across].astype(float) - rows[found.items]
    assert cues_at(rows, found, 1.0, "l2", towards) == pytest.approx(np.array([[1, 0], [0, 2.5]]))


def test_the_border_on_the_sphere_is_where_the_margin_is_met():
    rows = np.random.default_rng(5).standard_normal((20, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = basins(rows, np.arange(20), "cosine", beta=10, margin=1)
    towards = rows[found.across] - rows
    cues = cues_at(rows, found, 1.0, "cosine", towards)
    assert np.linalg.norm(cues, axis=1) == pytest.approx(np.ones(20))
    products = cues @ rows.T
    gaps = products[np.arange(20), np.arange(20)] - products[np.arange(20), found.across]
    assert 10 * gaps == pytest.approx(np.ones(20))


def test_the_distance_to_the_nearest_other_row():
    rows = np.array([[0, 0], [3, 4], [0, 1], *np.full((8, 2), 90)], np.float32)
    assert nearest_distances(rows, np.array([0, 1])) == pytest.approx([1, math.sqrt(18)])


def test_spoilt_images():
    images = np.full((4, 784), 0.5, np.float32)
    rng = np.random.default_rng(1)
    half = without_half(images)
    assert (half[:, :HALF] == 0.5).all() and (half[:, HALF:] == 0).all()
    assert 0.4 < (dropped(images, rng) == 0).mean() < 0.6
    noise = clip_noisy(images, rng)
    assert noise.min() >= 0 and noise.max() == 1
    assert images.min() == 0.5, "the images themselves are left alone"
    assert stride(1000, 200).tolist() == list(range(0, 1000, 5))
    assert share_close(half, images) == 0 and share_close(images, images) == 1


def test_a_long_dream_is_the_projector_onto_the_patterns():
    rows = np.random.default_rng(17).choice([-1.0, 1.0], (5, 24))
    assert dreaming(rows, 0) == pytest.approx(rows.T @ rows / 24)
    assert dreaming(rows, 1e9) == pytest.approx(np.linalg.pinv(rows) @ rows, abs=1e-6)


def test_bounded_synapses_stop_at_the_bound():
    rows = np.array([[1, 1, -1]] * 5 + [[1, -1, -1]])
    assert bounded(rows, 3).tolist() == [[3, 2, -3], [2, 3, -2], [-3, -2, 3]]


def test_signs_relax_one_after_the_other():
    couplings = np.array([[9.0, 1, 0], [1, 0, 0], [0, 0, -5]])
    states = relax(couplings, np.array([[1.0, -1, 1], [-1, -1, -1]]))
    assert states.tolist() == [[-1, -1, 1], [-1, -1, -1]]


def test_half_of_all_strength_is_held_by_the_fewest():
    assert holders_of_half(np.ones(10)) == 5
    assert holders_of_half(np.array([1.0, 1, 8, 1, 1])) == 1
    assert holders_of_half(np.array([3.0, 3, 3, 1, 1, 1])) == 2


def test_reinforcement_strengthens_as_it_is_named():
    items = np.eye(3, 32, dtype=np.float32)
    cue = np.array([[0.8, 0.6] + [0] * 30], np.float32)
    weights = np.exp(10 * np.array([0.8, 0.6, 0]))
    weights /= weights.sum()
    assert simulate(items, cue, "winner")[-1] == pytest.approx([2, 1, 1])
    assert simulate(items, cue, "soft")[-1] == pytest.approx([1 + weights[0], 1 + weights[1], 1])
    assert simulate(items, cue, "compete")[-1] == pytest.approx([2, *(1 - 0.1 * weights[1:])])


def test_every_question_about_a_fact_has_a_note_that_answers_it():
    notes, questions = draw_stream(5)
    assert len(notes.hours) + len(questions) == 4000
    assert (np.diff(notes.hours) >= 0).all()
    for question in questions:
        seen = slice(0, question.known)
        stated = notes.values[seen][notes.facts[seen] == question.fact]
        assert stated.max() == question.value
        assert notes.hours[seen].max() <= question.hour


def test_an_answer_counts_as_use():
    notes, _ = draw_stream(5)
    ranker = Reranker(notes, lambda similarity, age, stability: similarity - age, True)
    pair, hour = np.array([0, 1]), notes.hours[1] + 5
    assert ranker.first(pair, np.array([9999.0, 0]), hour) == 0
    assert ranker.first(pair, np.array([0.0, 0]), hour) == 0


def test_the_changes_of_packages_are_whole():
    changes = read_changes()
    assert len(changes) == 433 and sum(map(len, changes.values())) == 11_209
    assert all((np.diff(days) > 0).all() for days in changes.values())
    asked = asked_days(changes)
    assert len(asked) == 396 and asked == sorted(set(asked))
    assert max(asked) < LAST_DAY


def test_odds_count_the_days_that_were_waited():
    # Changes after 1, 1 and 3 days, and a wait of 4 that has not ended.
    odds = need_odds([np.array([10, 11, 12, 15, 90])], last_day=19)
    assert odds[:3].tolist() == [2 / (4 - 2), 1 / (4 - 1), 0] and len(odds) == len(EDGES) - 1


def test_auc_is_the_share_of_pairs_in_order():
    wanted = np.array([True, False, True, False])
    assert auc(np.array([4.0, 3, 2, 1]), wanted) == 0.75
    assert auc(np.array([1.0, 1, 1, 1]), wanted) == 0.5
    assert auc(np.array([2.0, 1, 2, 1]), wanted) == 1


def test_strengths_fade_as_they_are_named():
    ages = np.array([1.0, 3.0, 2000.0])
    by_name = {policy.name: policy.reference(ages) for policy in POLICIES}
    assert by_name["exp H=3 d"] == pytest.approx(math.log(2 ** (-1 / 3) + 2**-1))
    assert by_name["power D=1"] == pytest.approx(1 + 1 / 3 + 1 / 2000)
    assert by_name["recency"] == -1 and by_name["frequency"] == 3


@pytest.mark.parametrize(
    "check, held",
    [
        (Check("x", 0.5, 0.51, 0.01), True),
        (Check("x", 0.5, 0.511, 0.01), False),
        (Check("x", 0.5, 0.49, 0.01), True),
        (Check("x", 3, 3), True),
        (Check("x", 3, 4), False),
        (Check("x", 0.06, 0.02, relation="at most"), True),
        (Check("x", 0.06, 0.07, relation="at most"), False),
        (Check("x", 0.99, 1.0, relation="at least"), True),
        (Check("x", 0.99, 0.98, relation="at least"), False),
        (Check("x", 0.5, math.nan, 0.1), False),
    ],
)
def test_verdicts(check, held):
    assert check.held is held
    assert ("not held" in check.verdict) is not held


def test_the_report_says_what_held_and_explains_what_did_not():
    claim = Claim("A0", "a claim", "A paper", "How.", 5)
    claim.checks = [Check("good", 1, 1), Check("bad", 1, 2, why="it is only a test")]
    claim.tables = [Table("Controls", ("name", "value"), [("NN", 0.25)])]
    where = {"command": "anchors.py", "commit": "c", "cpus": 2, "cpu": "a machine"}
    text = render([claim, Claim("A1", "other", "B", "How.", None, not_run="no server")], where)
    assert "| A0 | a claim | A paper | 1 of 2 | **not held** |" in text
    assert "| A1 | other | B | no server | not run |" in text
    assert "Seed 5." in text and "- bad: it is only a test" in text and "| NN | 0.25 |" in text


def test_formulas_are_labelled_and_no_measurements():
    claim = Claim("A0", "a claim", "A paper", "How.", 5)
    claim.checks = [Check("seen", 1, 1), Check("computed", 1, 2, is_formula=True)]
    where = {"command": "anchors.py", "commit": "c", "cpus": 2, "cpu": "a machine"}
    text = render([claim], where)
    assert "| 1 of 1 (formulas: 0 of 1) | **not held** |" in text
    assert "| formula: computed | 1 | 2 | exact | **not held** |" in text


def test_a_check_that_does_not_hold_fails_the_run(tmp_path):
    good, bad, computed = (Claim(name, "a claim", "A paper", "How.", 5) for name in "abc")
    good.checks = [Check("x", 1, 1), Check("x", 1, 1, is_formula=True)]
    refuse_missed([good, Claim("d", "other", "B", "How.", None, not_run="no server")], tmp_path)
    bad.checks = [Check("x", 1, 1), Check("x", 1, 2, why="known")]
    computed.checks = [Check("x", 1, 1), Check("x", 1, 2, is_formula=True)]
    with pytest.raises(UserError, match="not all held of b, c: "):
        refuse_missed([good, bad, computed], tmp_path)


def test_tolerances_of_samples_allow_what_one_seed_in_a_hundred_exceeds():
    assert tolerance(0.998, 500) == TOLERANCE  # where samples hardly differ
    rng = np.random.default_rng(13)
    shares = rng.binomial(200, 0.598, 20_000) / 200 - rng.binomial(500, 0.598, 20_000) / 500
    assert (abs(shares) > tolerance(0.598, 200)).mean() < 0.012


def test_the_command_is_shown_without_places(monkeypatch):
    words = [
        "/home/me/anchors.py",
        "--server",
        "/home/me/engram",
        "--only",
        "A1",
        "--output=/home/me",
    ]
    monkeypatch.setattr("sys.argv", words)
    assert shown_command() == "experiments/anchors.py --only A1"


def test_anchors_are_chosen_by_name():
    assert chosen(None) == list(ANCHORS)
    assert chosen("a3, A1") == ["A1", "A3"]
    with pytest.raises(UserError, match="no anchor A99"):
        chosen("A1,A99")
