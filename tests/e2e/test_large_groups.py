# SPDX-License-Identifier: Apache-2.0
"""Groups that VCONSOLIDATE writes over several turns of the event loop."""

import signal
import threading
import time

import pytest

from strengths import as_map, pack
from test_consolidation import consolidate, consolidate_until_death, keys_of, last_frame


@pytest.mark.parametrize("primitive", ["flat", "hopfield"])
def test_a_death_leaves_a_large_group_whole_or_one(start, reopen, primitive):
    """Large ones are written over several turns of the loop."""
    server = start("--fsync", "always")
    size, groups = 1000, 3
    with server.wire() as wire:
        wire.call("VNEW", "i", 2, "METRIC", "l2", "PRIMITIVE", primitive, "DECAY", "static")
        for group in range(groups):
            words = (word for n in range(size) for word in (b"%d:%d" % (group, n), pack(10 * group, n / 1e6)))
            wire.call("VMADD", "i", *words)
    met = set()
    for delay in (0.001, 0.012, 0.03):
        consolidator = threading.Thread(target=lambda: consolidate_until_death(server))
        consolidator.start()
        time.sleep(delay)
        server.send_signal(signal.SIGKILL)
        server.wait()
        consolidator.join()
        server = reopen(server, "--fsync", "always")
        with server.wire() as wire:
            left = size * groups - as_map(wire.call("VINFO", "i"))["size"]
            assert left % (size - 1) == 0
            met.add(left)
    with server.wire() as wire:
        frames = last_frame(wire)
        answer = consolidate(wire, "i", "RADIUS", 0.1)
        assert answer["groups"] == last_frame(wire) - frames == groups - max(met) // (size - 1)
        assert as_map(wire.call("VINFO", "i"))["size"] == groups
        for key in keys_of(wire, "i", 2):
            assert float(as_map(wire.call("VSTRENGTH", "i", key))["strength"]) == pytest.approx(size)
