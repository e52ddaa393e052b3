# SPDX-License-Identifier: Apache-2.0
"""A short run of crash.py. CRASH_SEED=<seed> replays one; the quick suite kills less often than the
long one."""

import os
import random

import pytest

import crash
import live

KILLS = [5] if live.SANITIZED else [5, pytest.param(25, marks=pytest.mark.long)]


@pytest.mark.parametrize("kills", KILLS)
def test_nothing_acknowledged_is_lost(tmp_path, capsys, kills):
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().getrandbits(32)))
    with capsys.disabled():
        print(f"CRASH_SEED={seed}", flush=True)
    done = crash.run(tmp_path, kills, seed)
    with capsys.disabled():
        print(done)
