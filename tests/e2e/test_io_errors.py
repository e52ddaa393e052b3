# SPDX-License-Identifier: Apache-2.0
"""System calls that fail under a real server, while it starts, writes, takes snapshots and ends: nothing
acknowledged is lost, and only a sync that fails needs a restart."""

import errno
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

import live

PRELOAD = os.environ.get("ENGRAM_FAULTY_CALLS", "")
ERRORS = [errno.EIO, errno.EMFILE, errno.ENOSPC, errno.ENOMEM, errno.EINTR, 0]  # 0: a short write
WRITES = 12

pytestmark = pytest.mark.skipif(
    not PRELOAD or live.SANITIZED, reason="needs a library that is preloaded"
)


class Faulty(live.Process):
    """engram over `data`, of whose system calls one fails."""

    def __init__(self, folder, data, call=0, error=0):
        folder.mkdir(exist_ok=True)
        data.mkdir(exist_ok=True)
        self.calls = folder / "calls"
        self.calls.unlink(missing_ok=True)
        faults = {
            "LD_PRELOAD": PRELOAD,
            "FAULT_DIRECTORY": data,
            "FAULT_CALL": call,
            "FAULT_ERROR": error,
            "FAULT_LOG": self.calls,
        }
        command = live.engram_command("serve", "--port", 0, "--dir", data, "--fsync", "always")
        super().__init__(
            ["env", *(f"{name}={value}" for name, value in faults.items()), *command], folder
        )

    def await_start(self):
        """False if it has ended instead, as a start may."""

        def port_or_end():
            if self.process.poll() is not None:
                return "ended"
            found = live.re.search(r"listening on \S+:(\d+)", self.output())
            return found and found.group(1)

        port = live.wait_until(port_or_end, "the server listens or ends")
        if port == "ended":
            assert "engram: " in self.output(), "it does not say why it ends"
            return False
        self.port = int(port)
        return True

    def failed_call(self):
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return "".join(line.split()[0] for line in lines if not line.startswith("calls "))


def write_all(server):
    """Sends writes until each is acknowledged; returns how many were. A sync that failed ends it."""
    with server.wire() as wire:
        for number in range(WRITES):
            if number == WRITES // 2:
                live.wait_until(lambda: wire.call("VSAVE") == "OK", "it is saved")

            def send():
                reply = wire.call("SET", f"k{number}", number)
                if reply != "OK":
                    assert reply.startswith("MISCONF "), reply
                return reply == "OK" or "started anew" in reply

            live.wait_until(send, "it is written, or never will be")
            if wire.call("INFO", "persistence").find(b"aof_last_write_status:err") >= 0:
                assert server.failed_call() == "fdatasync"
                assert wire.call("VSAVE") == "OK", "what is in memory can be saved"
                return number
    return WRITES


def live_with_error(folder, call, error):
    data = folder / "data"
    server = Faulty(folder, data, call, error)
    if not server.await_start():
        server = Faulty(folder, data)
        assert server.await_start(), server.output()
    acknowledged = write_all(server)
    server.send_signal(live.signal.SIGTERM)
    status = server.wait()
    assert status == 0 or server.failed_call() == "fdatasync", server.output()
    again = Faulty(folder, data)
    assert again.await_start(), again.output()
    with again.wire() as wire:
        for number in range(acknowledged):
            assert wire.call("GET", f"k{number}") == b"%d" % number
        assert wire.call("SET", "more", "value") == "OK"
    again.end()


def count_calls(folder):
    folder.mkdir()
    server = Faulty(folder, folder / "data")
    assert server.await_start()
    assert write_all(server) == WRITES
    server.end()
    return int(server.calls.read_text().split()[-1])


def sweep(folder, choose):
    lives = [(call, error) for call in range(1, count_calls(folder / "count") + 1) for error in ERRORS]
    assert len(lives) > 300

    def try_one(number, life):
        call, error = life
        try:
            (folder / str(number)).mkdir()
            live_with_error(folder / str(number), call, error)
        except (AssertionError, TimeoutError) as wrong:
            raise AssertionError(f"call {call} fails with {error}: {wrong}") from wrong

    # Most of the time they wait.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(try_one, *zip(*enumerate(choose(lives)))))


def test_a_call_that_fails_costs_nothing_acknowledged(tmp_path):
    seed = int(os.environ.get("ENGRAM_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"ENGRAM_TEST_SEED={seed}")
    sweep(tmp_path, lambda lives: random.Random(seed).sample(lives, 6))


@pytest.mark.long
def test_every_call_that_fails_costs_nothing_acknowledged(tmp_path):
    sweep(tmp_path, lambda lives: lives)
