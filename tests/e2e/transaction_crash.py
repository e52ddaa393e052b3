#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a real server at random moments under clients that run transactions, starts it again, and looks for
a transaction of which only a part is there, or one that was acknowledged and is lost.

    ENGRAM_SERVER=build/server/engram tests/e2e/transaction_crash.py --kills 300 [--seed N] [--fsync everysec]

Two kinds of work take turns: random commands of clients that own their keys (as crash.py sends, many of them
in transactions), and tellers who share accounts, marks and batches of vectors.
"""

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

import crash_model as model
from crash import Crash
from crash_client import Client, now_ms
from crash_tellers import SharedWork, encoded_step, set_policy
from wire import ErrorReply


def apply(state, step, window):
    """As the model's, and a step may be ("EXEC", command, ...)."""
    if step[0] != "EXEC":
        return model.apply(state, step, window)
    replies = []
    for command in step[1:]:
        state, reply = model.apply(state, command, window)
        replies.append(reply)
    return state, replies


class TransactionClient(Client):
    """Many of its commands are in transactions. It remembers every state since the server was started:
    all of them are right if the server may lose what it acknowledged last."""

    def __init__(self, client, durable):
        super().__init__(client.number, client.primitives, client.rng, client.turns)
        self.durable = durable
        self.history = [self.state]

    def _choose(self):
        commands, steps = super()._choose(), []
        while commands:
            size = self.rng.randint(1, 12)
            part, commands = commands[:size], commands[size:]
            if self.rng.random() < 0.7 and ("VSAVE",) not in part:
                steps.append(("EXEC", *part))
            else:
                steps += part
        return steps

    def _send(self, wire, steps):
        self.sent_ms = now_ms()
        self.doubtful = steps
        wire.send_bytes(b"".join(encoded_step(step) for step in steps))
        while self.doubtful:
            step = self.doubtful[0]
            if step[0] == "EXEC":
                queued = [wire.read() for _ in step]
                assert queued == ["OK"] + ["QUEUED"] * (len(step) - 1), queued
            self._take(wire.read(), model.Window(self.sent_ms, now_ms()))

    def _take(self, reply, window):
        step = self.doubtful[0]
        state, expected = apply(self.state, step, window)
        pairs = zip(reply, expected, strict=True) if step[0] == "EXEC" else [(reply, expected)]
        for got, wanted in pairs:
            right = wanted is model.ANY_REPLY or (got == wanted and not isinstance(got, ErrorReply))
            assert right, f"{str(step)[:500]}: {got!r}, not {wanted!r}"
        self.state = state
        self.history.append(state)
        self.doubtful = self.doubtful[1:]
        self.answered += 1

    def _flush(self, wire, others):
        super()._flush(wire, others)
        for client in others:
            client.history.append({})

    def candidates(self, died_ms):
        state = self.state
        found = [state]
        for step in self.doubtful:
            state, _ = apply(state, step, model.Window(self.sent_ms, died_ms))
            found.append(state)
        return found if self.durable else found + self.history[::-1]


class RandomWork(Crash):
    def __init__(self, folder, seed, policy):
        super().__init__(folder, seed)
        self.policy = policy
        self.clients = [TransactionClient(client, policy == "always") for client in self.clients]

    def _work_until_death(self):
        set_policy(self.server, self.policy)
        super()._work_until_death()

    def _compare(self, wire, died_ms):
        super()._compare(wire, died_ms)
        for client in self.clients:
            client.history = [client.state]

    def summary(self):
        answered = sum(client.answered for client in self.clients)
        return f"{answered} steps of clients answered, {self.doubtful} in doubt"


def run(folder, kills, seed, policy, report=lambda line: None):
    """Returns a line about what was done; raises AssertionError at the first thing that is wrong."""
    began = time.monotonic()
    works = []
    try:
        for number, kind in enumerate((RandomWork, SharedWork)):
            own_folder = Path(folder) / f"{kind.__name__}-{policy}"
            own_folder.mkdir()
            works.append(kind(own_folder, seed + number, policy))
        while sum(work.kills for work in works) < kills:
            for work in works:
                work.round()
            report(f"{sum(work.kills for work in works)} kills")
        for work in works:
            work.end()
    finally:
        for work in works:
            if work.server.process.poll() is None:
                work.server.kill()
    done = ", ".join(work.summary() for work in works)
    total = sum(work.kills for work in works)
    return f"seed {seed}, {policy}: {total} kills, {done}, {time.monotonic() - began:.0f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--fsync", choices=["always", "everysec", "no"], default="always")
    parser.add_argument("--keep", action="store_true", help="leave the directory of a failure")
    arguments = parser.parse_args()
    print(f"CRASH_SEED={arguments.seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="engram-crash-")
    try:
        print(run(folder, arguments.kills, arguments.seed, arguments.fsync))
    except (AssertionError, TimeoutError):
        print(f"the directory was {folder}", flush=True)
        raise
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
