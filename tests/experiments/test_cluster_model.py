# SPDX-License-Identifier: Apache-2.0
"""The model of a cluster against formulas of queues, brute force, and what was measured."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cluster_model import TOLERANCE, compare
from cluster_points import POINTS, read_points
from scatter_gather import encode, partition_of
from scatter_model import (
    HEDGED_SHARE,
    Costs,
    Layout,
    Load,
    Policy,
    fewer_hits,
    refetch_probability,
    simulate,
)
from simulation import Cores, Link, Simulation, Threads

FREE = Costs(
    search_s=(0.001,),
    reference_rows=1000,
    growth=0.5,
    send_s=0.0,
    receive_s=0.0,
    hit_s=0.0,
    accept_s=0.0,
    answer_s=0.0,
    wake_s=0.0,
    hop_s=0.0,
    bytes_per_s=math.inf,
    request_bytes=100,
    reply_bytes=20,
    hit_bytes=10,
)
BUSY = replace(
    FREE, search_s=(0.001, 0.002), send_s=5e-6, receive_s=5e-6, accept_s=1e-5, answer_s=1e-5, hop_s=1e-4
)


def mean_wait(servers, rate, service, count, seed):
    """Simulated, of Poisson arrivals and exponential times of service, in units of `service`."""
    simulation = Simulation()
    threads = Threads(simulation, Cores(), servers)
    rng = np.random.default_rng(seed)
    waits = []

    def arrive(left):
        began, seconds = simulation.now, rng.exponential(service)
        threads.submit(seconds, lambda: waits.append(simulation.now - began - seconds))
        if left > 1:
            simulation.after(rng.exponential(1 / rate), lambda: arrive(left - 1))

    arrive(count)
    simulation.run()
    assert len(waits) == count
    return np.mean(waits) / service


def erlang_c(servers, load):
    """The probability of a wait in M/M/c; `load` is rate times service."""
    terms = [load**i / math.factorial(i) for i in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("servers", [1, 2, 8])
@pytest.mark.parametrize("busy", [0.3, 0.6])
def test_waits_are_those_of_the_formula(servers, busy):
    load = busy * servers
    expected = erlang_c(servers, load) / (servers - load)
    found = np.mean([mean_wait(servers, load, 1.0, 20_000, seed) for seed in range(3)])
    assert found == pytest.approx(expected, rel=0.15, abs=0.002)


def test_threads_share_the_cores_of_their_machine():
    simulation = Simulation()
    cores = Cores(2)
    ended = []
    for _ in range(4):
        Threads(simulation, cores, 1).submit(1.0, lambda: ended.append(simulation.now))
    simulation.run()
    assert ended == [1.0, 1.0, 2.0, 2.0]


def test_what_follows_upon_work_is_spared_the_turn():
    simulation = Simulation()
    threads = Threads(simulation, Cores(1), 1, turn_s=0.25)
    ended = []
    threads.submit(1.0, lambda: ended.append(simulation.now))
    threads.submit(1.0, lambda: ended.append(simulation.now))
    simulation.run()
    assert ended == [1.25, 2.25] and threads.busy_seconds == 2.5


def test_a_switch_costs_its_share_of_a_turn():
    simulation = Simulation()
    cores = Cores(1)
    ended = []
    for _ in range(2):
        Threads(simulation, cores, 1, 0.25, switch=0.5).submit(1.0, lambda: ended.append(simulation.now))
    simulation.run()
    assert ended == [1.25, 2.5]


def test_bytes_come_one_after_another():
    simulation = Simulation()
    link = Link(simulation, hop_s=1.0, bytes_per_s=10)
    arrived = []
    link.send(10, lambda: arrived.append(simulation.now))
    link.send(20, lambda: arrived.append(simulation.now))
    simulation.run()
    assert arrived == [2.0, 4.0] and link.bytes == 30


def test_a_search_alone_takes_the_sum_of_its_parts():
    costs = replace(BUSY, search_s=(0.001,), wake_s=1e-5, hit_s=1e-6)
    found = simulate(costs, Layout(1, 1000), Policy(10, None), Load(1, 1, clients=1))
    assert found.latencies_s == [pytest.approx(0.001 + 2e-5 + 2e-5 + 2e-5 + 2e-4)]
    assert found.bytes == 100 + 20 + 100 and found.messages == 2


def test_equal_seeds_give_equal_runs_and_others_do_not():
    layout, policy = Layout(4, 4000, copies=2), Policy(10, hedge_s=0.002, reads_replicas=True)
    one, same, other = (
        simulate(BUSY, layout, policy, Load(300, seed, rate=500)).latencies_s for seed in (1, 1, 2)
    )
    assert one == same != other


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [None, 0.0, 3.0])
def test_nothing_is_lost_and_nothing_is_done_twice(seed, margin):
    queries, partitions = 400, 5
    layout = Layout(partitions, 5000, copies=2, shared_cores=3)
    policy = Policy(10, margin, reads_replicas=True)
    found = simulate(BUSY, layout, policy, Load(queries, seed, clients=7))
    assert len(found.latencies_s) == queries
    assert len(found.partition_s) == queries * partitions
    asked = found.messages / 2
    assert found.hedges == 0 and queries * partitions <= asked <= 2 * queries * partitions
    assert (asked > queries * partitions) == (found.refetches > 0) == (margin == 0.0)
    assert found.router_busy + found.main_busy + found.worker_busy <= 3
    # Little: those under way are the clients, who ask again at once.
    under_way = sum(found.latencies_s) / found.elapsed_s
    assert under_way == pytest.approx(7, rel=0.05)


def brute_force(k, partitions, asked, rng, tries=20_000):
    places = rng.integers(0, partitions, (tries, k))
    fullest = np.array([np.bincount(row, minlength=partitions).max() for row in places])
    return np.mean(fullest >= asked)


@pytest.mark.parametrize("k, partitions, margin", [(10, 3, 0.5), (100, 8, 1.0), (10, 100, 0.5)])
def test_refetches_are_as_often_as_by_brute_force(k, partitions, margin):
    rng = np.random.default_rng(7)
    asked = fewer_hits(k, partitions, margin)
    assert asked < k
    expected = brute_force(k, partitions, asked, rng)
    load = Load(3000, 7, clients=1)
    found = simulate(FREE, Layout(partitions, 1000), Policy(k, margin), load).refetches / 3000
    assert found == pytest.approx(expected, abs=0.045)
    assert refetch_probability(k, partitions, margin) >= expected - 0.02


def test_the_usual_margin_asks_hardly_anybody_twice():
    assert fewer_hits(10, 1, 3) == 10 and fewer_hits(100, 10, 3) == 23 and fewer_hits(10, 1000, 3) == 4
    for k, partitions, most in ((10, 10, 1e-4), (10, 1000, 1e-6), (100, 10, 0.002), (1000, 1000, 0.1)):
        assert refetch_probability(k, partitions, 3.0) < most


def test_hedges_cut_the_tail_of_stops_within_their_bound():
    layout = Layout(20, 20_000, copies=2)
    load = Load(2000, 3, rate=100, stall_s=0.2, stall_every_s=20)
    plain = simulate(FREE, layout, Policy(), load)
    hedged = simulate(FREE, layout, Policy(hedge_s=0.005), load)
    assert plain.percentile_ms(99) > 50
    assert hedged.percentile_ms(99) < plain.percentile_ms(99) / 3
    assert 0 < hedged.hedges <= HEDGED_SHARE * 2000 * 20 + 1


def test_replicas_carry_half():
    """What keeps the workers of one copy busy beyond their end leaves those of two at ease."""
    layout = Layout(4, 4000, copies=2, workers=1)
    load = Load(2000, 3, rate=1200)
    masters = simulate(FREE, layout, Policy(), load)
    both = simulate(FREE, layout, Policy(reads_replicas=True), load)
    assert both.percentile_ms(50) < masters.percentile_ms(50) / 10


@pytest.mark.parametrize("point", read_points().points, ids=lambda p: f"{p.hosts}x{p.clients}")
def test_the_model_reproduces_what_was_measured(point):
    for one in compare(read_points(POINTS), point):
        assert one.name == "p95" or abs(one.error) <= TOLERANCE, one


def test_keys_spread_over_partitions():
    counts = np.bincount([partition_of(b"key%d" % i, 3) for i in range(3000)], minlength=3)
    assert counts.min() > 900


def test_a_command_as_resp_has_it():
    assert encode("GET", b"a\r\n", 12) == b"*3\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n$2\r\n12\r\n"
