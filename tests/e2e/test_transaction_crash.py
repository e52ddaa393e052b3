# SPDX-License-Identifier: Apache-2.0
"""A short run of transaction_crash.py. CRASH_SEED=<seed> replays one, CRASH_KILLS=<number> makes a longer
one."""

import os
import random

import pytest

import live
import transaction_crash

KILLS = 6 if live.SANITIZED else 24


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_transactions_are_there_whole_or_not_at_all(tmp_path, capsys, policy):
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().getrandbits(32)))
    kills = int(os.environ.get("CRASH_KILLS", KILLS))
    with capsys.disabled():
        print(f"CRASH_SEED={seed}", flush=True)
    done = transaction_crash.run(tmp_path, kills, seed, policy)
    with capsys.disabled():
        print(done)
