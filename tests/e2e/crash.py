#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a real server at random moments under real clients, starts it again, and compares what it
has with what it had promised.

    ENGRAM_SERVER=build/server/engram tests/e2e/crash.py --kills 300 [--seed N]

A seed makes the same commands and the same moments; what the machine does in between is its own.
"""

import argparse
import math
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import crash_model as model
import live
from crash_client import Client, make_turns, now_ms, random_vector
from wire import ErrorReply, encode

CLIENTS = 4
ANSWERS = 10
ALL = 1_000_000


class CrashServer(live.Process):
    """engram over a directory that outlives it; it need not have come up yet."""

    def __init__(self, folder):
        command = live.engram_command(
            "serve", "--port", 0, "--dir", folder / "data", "--fsync", "always"
        )
        super().__init__(command, folder)

    def await_start(self):
        def announced():
            self.assert_running()
            return re.search(r"listening on \S+:(\d+)", self.output())

        self.port = int(live.wait_until(announced, "the server listens").group(1))
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()


class Crash:
    """Rounds of work, death and restart over one directory."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.rng = random.Random(seed)
        self.server = CrashServer(folder).await_start()
        with self.server.wire() as wire:
            primitives = {
                entry["name"].decode(): bool(_as_map(entry["traits"])["decays"])
                for entry in map(_as_map, wire.call("VPRIMITIVES"))
            }
        turns = make_turns(CLIENTS)
        self.clients = [
            Client(number, primitives, random.Random(self.rng.getrandbits(64)), turns)
            for number in range(CLIENTS)
        ]
        self.answers_before = {}
        self.kills = 0
        self.doubtful = 0
        self.compared = 0
        self.untouched = 0

    def round(self):
        self._work_until_death()
        died_ms = now_ms()
        if self.rng.random() < 0.2:
            self._check_offline()
        self._restart()
        with self.server.wire() as wire:
            self._compare(wire, died_ms)
            if self.rng.random() < 0.25:
                self._save_and_count_segments(wire)

    def end(self):
        self.server.end()
        self._check_offline()

    # ---- death

    def _work_until_death(self):
        stop = threading.Event()
        threads = [
            threading.Thread(target=client.run, args=(self.server, self.clients, stop))
            for client in self.clients
        ]
        with self.server.wire() as killer:
            small = self.rng.choice(["8kb", "64kb", "64mb"])
            assert killer.call("CONFIG", "SET", "auto-aof-rewrite-min-size", small) == "OK"
            for thread in threads:
                thread.start()
            time.sleep(self.rng.uniform(0.0, 0.4))
            if self.rng.random() < 0.4:
                killer.call("BGSAVE")
                time.sleep(self.rng.uniform(0.0, 0.02))
            self.server.assert_running()
            self.server.kill()
        self.kills += 1
        stop.set()
        for thread in threads:
            thread.join()
        for client in self.clients:
            if client.failure:
                raise client.failure

    def _restart(self):
        """Now and then it dies again before it serves."""
        while self.rng.random() < 0.3:
            unlucky = CrashServer(self.folder)
            time.sleep(self.rng.uniform(0.0, 0.06))
            unlucky.assert_running()
            unlucky.kill()
            self.kills += 1
        self.server = CrashServer(self.folder).await_start()

    # ---- what is there afterwards

    def _compare(self, wire, died_ms):
        actual = read_all(wire)
        checked_ms = now_ms()
        flushing = any(client.flushing for client in self.clients)
        if flushing and not actual:
            for client in self.clients:
                client.state, client.doubtful = {}, []
        for client in self.clients:
            prefix = f"{client.number}:"
            own = {key: value for key, value in actual.items() if key.startswith(prefix)}
            self._settle(client, own, died_ms, checked_ms)
            self._compare_answers(wire, client)
            client.touched = set()
            client.parity = self.rng.randrange(2)
            client.flushing = False
        strange = [key for key in actual if int(key.split(":")[0]) >= CLIENTS]
        assert not strange, f"keys that nobody wrote: {strange}"

    def _settle(self, client, own, died_ms, checked_ms):
        """The client goes on from what the server has, if that is right."""
        self.doubtful += len(client.doubtful)
        differences = []
        for state in client.candidates(died_ms):
            differences.append(model.difference(state, own, checked_ms))
            if differences[-1] is None:
                client.state = {
                    key: replace(value, expires=own[key].expires)
                    if isinstance(value, model.Index)
                    else own[key]
                    for key, value in state.items()
                    if key in own
                }
                client.doubtful = []
                return
        sent = ["all that was answered", *[f"{command[:2]}" for command in client.doubtful]]
        raise AssertionError(
            f"client {client.number}: what is there is right at no point:\n"
            + "\n".join(f"  after {what}: {wrong}" for what, wrong in zip(sent, differences))
        )

    def _compare_answers(self, wire, client):
        for key, index in client.state.items():
            if not isinstance(index, model.Index):
                continue
            query = random_vector(random.Random(key), index.dim)
            raw = wire.call_raw("VSEARCH", key, query, ANSWERS, "EF", ALL)
            compare_with_exact(wire, key, index, query)
            self.compared += 1
            if key in self.answers_before and key not in client.touched:
                assert raw == self.answers_before[key], f"{key} answers other than before"
                self.untouched += 1
            self.answers_before[key] = raw

    def _save_and_count_segments(self, wire):
        reply = wire.call("VSAVE")
        if reply != "OK":
            assert "already in progress" in reply, reply
            return

        def dropped():
            return len(list(self.data.glob("journal-*.log"))) == 1

        live.wait_until(dropped, "one segment of the journal is left")

    def _check_offline(self):
        done = live.run_engram("check", self.data)
        assert done.returncode == 0, f"check finds fault:\n{done.stdout}{done.stderr}"


def compare_with_exact(wire, key, index, query):
    reply = wire.call("VSEARCH", key, query, ANSWERS, "EF", ALL)
    assert not isinstance(reply, ErrorReply), f"{key}: {reply}"
    names, exact = model.distances(index, query)
    truth = dict(zip(names, exact))
    found = [(name, float(distance)) for name, distance in zip(reply[::2], reply[1::2])]
    assert len(found) == min(ANSWERS, len(names)), f"{key} has {len(found)} answers"
    for (name, distance), best in zip(found, exact):
        close = max(1.0, abs(best)) * 1e-4
        assert abs(distance - best) < close and abs(truth[name] - distance) < close, (
            f"{key} answers {name} at {distance}, {truth[name]} away; {best} was expected"
        )


def read_all(wire):
    """Everything the server has, as a state."""
    keys = wire.call("KEYS", "*")
    kinds = _call_all(wire, [("TYPE", key) for key in keys])
    expiries = _read_expiries(wire, keys)
    state = {}
    for key, kind, expires in zip(keys, kinds, expiries):
        value = wire.call("GET", key) if kind == "string" else None
        if value is not None:
            state[key.decode()] = model.Text(value, expires)
        elif kind == "vectorset":
            state[key.decode()] = _read_index(wire, key, expires)
    return state


def _read_expiries(wire, keys):
    before_ms = now_ms()
    ttls = _call_all(wire, [("PTTL", key) for key in keys])
    window = model.Window(before_ms, now_ms())
    return [None if ttl == -1 else window.plus(ttl) for ttl in ttls]


def _read_index(wire, key, expires):
    info = _as_map(wire.call("VINFO", key))
    dim, size = info["vector-dim"], info["size"]
    names = []
    if size:
        names = wire.call("VSEARCH", key, b"\x00\x00\x80\x3f" * dim, ALL, "EF", ALL)[::2]
    assert len(names) == size, f"{key} has {size} vectors, a search finds {len(names)}"
    vectors = _call_all(wire, [("VGET", key, name) for name in names])
    strengths = None
    if "decay" in info:
        answers = _call_all(wire, [("VSTRENGTH", key, name, "AT", 0) for name in names])
        strengths = {name: math.log(float(_as_map(answer)["strength"])) for name, answer in zip(names, answers)}
    attributes = dict(zip(names, _call_all(wire, [("VGETATTR", key, name) for name in names])))
    attributes = {name: json for name, json in attributes.items() if json is not None}
    assert info["attributes-count"] == len(attributes), f"{key} does not know how many attributes it has"
    return model.Index(
        dim,
        info["metric"].decode(),
        info["primitive"].decode(),
        dict(zip(names, vectors)),
        expires,
        strengths,
        attributes,
    )


def _as_map(reply):
    names = (name if isinstance(name, str) else name.decode() for name in reply[::2])
    return dict(zip(names, reply[1::2]))


def _call_all(wire, commands):
    wire.send_bytes(b"".join(encode(*command) for command in commands))
    return [wire.read() for _ in commands]


def run(folder, kills, seed, report=lambda line: None):
    """Returns a line about what was done; raises AssertionError at the first thing that is wrong."""
    began = time.monotonic()
    crash = Crash(Path(folder), seed)
    try:
        while crash.kills < kills:
            crash.round()
            report(f"{crash.kills} kills")
        crash.end()
    finally:
        if crash.server.process.poll() is None:
            crash.server.kill()
    answered = sum(client.answered for client in crash.clients)
    return (
        f"seed {seed}: {crash.kills} kills, {answered} commands answered, {crash.doubtful} in doubt,"
        f" {crash.compared} indexes compared, {crash.untouched} of them bit for bit with before,"
        f" {time.monotonic() - began:.0f} s"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--keep", action="store_true", help="leave the directory of a failure")
    arguments = parser.parse_args()
    print(f"CRASH_SEED={arguments.seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="engram-crash-")
    try:
        print(run(folder, arguments.kills, arguments.seed))
    except (AssertionError, TimeoutError):
        if arguments.keep:
            print(f"the directory is left in {folder}", file=sys.stderr)
        raise
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
