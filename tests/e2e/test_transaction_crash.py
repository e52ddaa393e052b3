# SPDX-License-Identifier: Apache-2.0
"""Short runs of transaction_crash.py. CRASH_SEED=<seed> replays one, CRASH_KILLS=<number> makes a longer
one."""

import os
import random

import pytest

import live
import transaction_crash

QUICK_KILLS = 4
LONG_KILLS = 6 if live.SANITIZED else 40


def run(folder, capsys, policy, kills):
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().getrandbits(32)))
    with capsys.disabled():
        print(f"CRASH_SEED={seed}", flush=True)
    done = transaction_crash.run(folder, int(os.environ.get("CRASH_KILLS", kills)), seed, policy)
    with capsys.disabled():
        print(done)


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_transactions_are_there_whole_or_not_at_all(tmp_path, capsys, policy):
    run(tmp_path, capsys, policy, QUICK_KILLS)


@pytest.mark.long
@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_transactions_are_there_whole_or_not_at_all_after_many_kills(tmp_path, capsys, policy):
    run(tmp_path, capsys, policy, LONG_KILLS)
