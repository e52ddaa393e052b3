# SPDX-License-Identifier: Apache-2.0
"""VCONSOLIDATE ... REPLAY: what an index is reminded of, and what another learns from it."""

import struct

import numpy as np
import pytest

from strengths import as_map, consolidate, keys_of, pack, strength, wire  # noqa: F401: the fixture


def test_a_replay_is_of_what_is_strong(wire):
    wire.call("VNEW", "fast", 1, "METRIC", "l2", "DECAY", "static")
    wire.call("VNEW", "slow", 1, "METRIC", "l2", "DECAY", "static")
    for key, place, gain in (("a", 0, 60), ("b", 1, 30), ("c", 9, 10), ("d", 90, "1e-9")):
        wire.call("VADD", "fast", key, pack(place), "STRENGTH", gain)
    words = ("fast", "RADIUS", 2, "INTO", "slow", "REPLAY", 10_000, "MINSIZE", 1)
    assert wire.call_raw("VCONSOLIDATE", *words, "DRYRUN") == wire.call_raw("VCONSOLIDATE", *words, "SEED", 42)
    assert wire.call_raw("VCONSOLIDATE", *words, "DRYRUN") != wire.call_raw("VCONSOLIDATE", *words, "SEED", 7, "DRYRUN")
    assert keys_of(wire, "slow", 1) == [b"a", b"c"] and len(keys_of(wire, "fast", 1)) == 4
    near, far = strength(wire, "slow", "a"), strength(wire, "slow", "c")
    assert near + far == pytest.approx(10_000) and near == pytest.approx(9000, abs=150)
    assert struct.unpack("<f", wire.call("VGET", "slow", "a"))[0] == pytest.approx(1 / 3, abs=0.02)
    consolidate(wire, *words)
    assert strength(wire, "slow", "a") == pytest.approx(2 * near)


def share_met(wire, *words):
    """Which share of 1,500 draws met "a"."""
    told = consolidate(wire, "fast", "RADIUS", 0, "INTO", "slow", "REPLAY", 1500, "MINSIZE", 1, "DRYRUN", *words)["prototypes"]
    met = {group["key"]: float(group["strength"]) for group in told}
    assert sum(met.values()) == pytest.approx(1500)
    return met[b"a"] / 1500


def energies_at(wire, primitive, beta, gains, places, grid):
    """Of hopfield by its formula, of others as the server has them."""
    if primitive != "hopfield":
        return np.array([float(wire.call("VENERGY", "fast", pack(q))) for q in grid])
    return -np.log((gains * np.exp(-beta / 2 * (grid[:, None] - places) ** 2)).sum(axis=1)) / beta


@pytest.mark.parametrize("primitive", ["hopfield", "lsr"])
@pytest.mark.parametrize("temperature", [0.4, 0.8, 2])
def test_a_walk_samples_the_energy(wire, primitive, temperature):
    """Two items in one dimension: what exp(-E / T) says of each is an integral."""
    beta, places, gains = 1.5, np.array([0, 1.1]), np.array([3.0, 1])
    wire.call("VNEW", "fast", 1, "METRIC", "l2", "PRIMITIVE", primitive, "DECAY", "static", "BETA", beta)
    wire.call("VNEW", "slow", 1, "METRIC", "l2", "DECAY", "static")
    for key, place, gain in zip("ab", places, gains):
        wire.call("VADD", "fast", key, pack(place), "STRENGTH", gain)
    grid = np.linspace(-8, 9, 1701)
    density = np.exp(-energies_at(wire, primitive, beta, gains, places, grid) / temperature)
    met = [as_map(wire.call("VRECALL", "fast", "VEC", pack(q), "STEPS", 0))["onestep"] == b"a" for q in grid]
    warm = ("BY", "langevin", "TEMPERATURE", temperature, "WALK", 80)
    assert share_met(wire, *warm) == pytest.approx(density[met].sum() / density.sum(), abs=0.045)
    short = ("BY", "langevin", "TEMPERATURE", temperature, "WALK", 5)
    assert share_met(wire, *short) == share_met(wire, *short) != share_met(wire, *short, "SEED", 7)


def test_a_cold_walk_ends_where_it_begins(wire):
    wire.call("VNEW", "fast", 2, "METRIC", "cosine", "PRIMITIVE", "lsr", "BETA", 2, "DECAY", "static")
    wire.call("VNEW", "slow", 2, "DECAY", "static")
    for key, place, gain in (("a", (1, 0), 3), ("b", (0, 1), 1)):
        wire.call("VADD", "fast", key, pack(*place), "STRENGTH", gain)
    assert share_met(wire, "BY", "langevin", "TEMPERATURE", 1e-9) == share_met(wire)
    wire.call("VNEW", "signs", 2, "METRIC", "dot", "PRIMITIVE", "hebb")
    reply = wire.call("VCONSOLIDATE", "signs", "RADIUS", 1, "INTO", "signs2", "REPLAY", 9, "BY", "langevin")
    assert str(reply) == "ERR no such index 'signs2', VNEW makes one"
    wire.call("VNEW", "signs2", 2, "METRIC", "dot")
    reply = wire.call("VCONSOLIDATE", "signs", "RADIUS", 1, "INTO", "signs2", "REPLAY", 9, "BY", "langevin")
    assert str(reply) == "ERR REPLAY BY langevin needs an energy with a beta: primitive 'hebb' has none, or VTUNE has not found it"
