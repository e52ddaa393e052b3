# SPDX-License-Identifier: Apache-2.0
"""A short run of crash.py. CRASH_SEED=<seed> replays one."""

import os
import random

import crash
import live

KILLS = 5 if live.SANITIZED else 25


def test_nothing_acknowledged_is_lost(tmp_path, capsys):
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().getrandbits(32)))
    with capsys.disabled():
        print(f"CRASH_SEED={seed}", flush=True)
    done = crash.run(tmp_path, KILLS, seed)
    with capsys.disabled():
        print(done)
