# SPDX-License-Identifier: Apache-2.0
"""Tellers of the crash test of transactions: they share accounts, marks and vectors, of which any half-done
transaction breaks a rule."""

import random
import struct
import threading
import time

from crash import ALL, CrashServer
from wire import Closed, ErrorReply, encode, pack

TELLERS = 6
ACCOUNTS = 10
DEPOSIT = 100
MARKS = 4
BATCH = 5


def encoded_step(step):
    if step[0] != "EXEC":
        return encode(*step)
    return b"".join(encode(*command) for command in (("MULTI",), *step[1:], ("EXEC",)))


def set_policy(server, policy):
    with server.wire() as wire:
        assert wire.call("CONFIG", "SET", "appendfsync", policy) == "OK"


class Teller:
    """Each of its transactions also counts `sequence:<number>`, which tells afterwards how many of those
    in `log` the server has executed."""

    def __init__(self, number, rng):
        self.number = number
        self.rng = rng
        self.sequence = 0
        self.acknowledged = 0
        self.batches = set()
        self.own = None  # the number in the name of its index, which is made anew again and again
        self.log = []
        self.aborted = 0
        self.failure = None

    def run(self, server, stop):
        try:
            with server.wire() as wire:
                while not stop.is_set():
                    self.rng.choice([self._transfer, self._transfer, self._mark, self._batch, self._remake])(wire)
        except (Closed, OSError):
            pass
        except Exception as error:  # seen by the thread that waits for this one
            self.failure = error

    def _execute(self, wire, what, commands, expected):
        """`what` is done to the teller's own state if the server does it."""
        self.log.append(what)
        counted = ("INCR", f"sequence:{self.number}")
        wire.send_bytes(encoded_step(("EXEC", *commands, counted)))
        head = [wire.read() for _ in range(len(commands) + 2)]
        assert head == ["OK"] + ["QUEUED"] * (len(commands) + 1), head
        reply = wire.read()
        if reply is None:
            self.log.pop()
            self.aborted += 1
            return
        wanted = [*expected, self.sequence + len(self.log)]
        assert reply == wanted, f"{commands}: {reply}, not {wanted}"
        self.acknowledged = wanted[-1]

    def _transfer(self, wire):
        source, target = self.rng.sample(range(ACCOUNTS), 2)
        names = [f"account:{source}", f"account:{target}"]
        wire.send("WATCH", *names)
        wire.send("MGET", *names)
        assert wire.read() == "OK"
        held = [int(value) for value in wire.read()]
        amount = self.rng.randint(0, 20)
        balances = [held[0] - amount, held[1] + amount]
        commands = [
            ("SET", names[0], balances[0]),
            ("VADD", "ledger", names[0], pack(source, balances[0])),
            ("VADD", "ledger", names[1], pack(target, balances[1])),
            ("INCRBY", names[1], amount),
        ]
        self._execute(wire, ("transfer",), commands, ["OK", 0, 0, balances[1]])

    def _mark(self, wire):
        """The last to do this has written over all keys and vectors."""
        number = self.sequence + len(self.log) + 1
        text, vector = b"%d:%d" % (self.number, number), pack(self.number, number)
        commands = [("SET", f"mark:{place}", text) for place in range(MARKS)]
        commands[2:2] = [("VADD", "marks", place, vector) for place in range(MARKS)]
        expected = ["OK"] * MARKS
        expected[2:2] = [0] * MARKS
        self._execute(wire, ("mark",), commands, expected)

    def _batch(self, wire):
        """Some vectors are added, or those of an earlier time deleted."""
        batches = self.state_after(len(self.log))[0]
        if batches and self.rng.random() < 0.4:
            number = self.rng.choice(sorted(batches))
            commands = [("VDEL", "batches", name) for name in self._names(number)]
            self._execute(wire, ("delete", number), commands, [1] * BATCH)
            return
        number = self.sequence + len(self.log) + 1
        items = [
            (name, pack(*(self.rng.gauss(0, 1) for _ in range(4)))) for name in self._names(number)
        ]
        commands = [("VADD", "batches", *items[0]), ("VADD", "batches", *items[1])]
        commands.append(("VMADD", "batches", *(part for item in items[2:] for part in item)))
        self._execute(wire, ("add", number), commands, [1, 1, BATCH - 2])

    def _remake(self, wire):
        """Its own index is made under a new name, filled and tuned, the old one is dropped."""
        old, number = self.state_after(len(self.log))[1], self.sequence + len(self.log) + 1
        name = f"own:{self.number}:{number}"
        items = [part for place in range(3) for part in (place, pack(place, number))]
        commands = [("VNEW", name, 2, "METRIC", "l2", "PRIMITIVE", self.rng.choice(["flat", "hnsw"]))]
        commands += [("VMADD", name, *items), ("SET", f"own-of:{self.number}", name)]
        expected = ["OK", 3, "OK"]
        if old is not None:
            commands.append(("VDROP", f"own:{self.number}:{old}"))
            expected.append("OK")
        self._execute(wire, ("remake", number), commands, expected)

    def _names(self, number):
        return [f"{self.number}:{number}:{place}" for place in range(BATCH)]

    def state_after(self, count):
        """Its batches and the number of its index after so many of the log."""
        batches, own = set(self.batches), self.own
        for what, *numbers in self.log[:count]:
            if what == "add":
                batches.add(numbers[0])
            if what == "delete":
                batches.remove(numbers[0])
            if what == "remake":
                own = numbers[0]
        return batches, own

    def settle(self, sequence, durable):
        """Goes on from what the server has executed; says what was expected of it."""
        executed = sequence - self.sequence
        sent = f"teller {self.number}: {self.acknowledged} acknowledged, {self.sequence + len(self.log)} sent"
        assert 0 <= executed <= len(self.log), f"{sent}, {sequence} are there"
        assert not durable or sequence >= self.acknowledged, f"{sent}, {sequence} are there"
        self.batches, self.own = self.state_after(executed)
        self.sequence = self.acknowledged = sequence
        self.log = []

    def expected_names(self):
        return {name.encode() for number in self.batches for name in self._names(number)}


class SharedWork:
    """Rounds of tellers at work, death and restart over one directory."""

    def __init__(self, folder, seed, policy):
        self.folder = folder
        (folder / "data").mkdir()
        self.policy = policy
        self.rng = random.Random(seed)
        self.kills = 0
        self.server = CrashServer(folder).await_start()
        self.tellers = [Teller(number, random.Random(self.rng.getrandbits(64))) for number in range(TELLERS)]
        with self.server.wire() as wire:
            self._furnish(wire)

    def _furnish(self, wire):
        commands = [
            ("VNEW", "ledger", 2, "METRIC", "l2", "PRIMITIVE", "flat"),
            ("VNEW", "marks", 2, "METRIC", "l2", "PRIMITIVE", "flat"),
            ("VNEW", "batches", 4, "METRIC", "l2", "PRIMITIVE", "hnsw"),
        ]
        for account in range(ACCOUNTS):
            name = f"account:{account}"
            commands += [("SET", name, DEPOSIT), ("VADD", "ledger", name, pack(account, DEPOSIT))]
        for place in range(MARKS):
            commands += [("SET", f"mark:{place}", "0:0"), ("VADD", "marks", place, pack(0, 0))]
        wire.send_bytes(encoded_step(("EXEC", *commands)))
        replies = [wire.read() for _ in range(len(commands) + 2)][-1]
        assert len(replies) == len(commands) and not any(isinstance(reply, ErrorReply) for reply in replies)

    def round(self):
        stop = threading.Event()
        threads = [threading.Thread(target=teller.run, args=(self.server, stop)) for teller in self.tellers]
        set_policy(self.server, self.policy)
        with self.server.wire() as killer:
            small = self.rng.choice(["8kb", "64kb", "64mb"])
            assert killer.call("CONFIG", "SET", "auto-aof-rewrite-min-size", small) == "OK"
            for thread in threads:
                thread.start()
            for _ in range(self.rng.randint(0, 3)):
                time.sleep(self.rng.uniform(0.0, 0.15))
                killer.send(self.rng.choice(["VSAVE", "BGSAVE"]))
            time.sleep(self.rng.uniform(0.0, 0.15))
            self.server.assert_running()
            self.server.kill()
        self.kills += 1
        stop.set()
        for thread in threads:
            thread.join()
        for teller in self.tellers:
            if teller.failure:
                raise teller.failure
        while self.rng.random() < 0.2:  # it dies again before it serves
            unlucky = CrashServer(self.folder)
            time.sleep(self.rng.uniform(0.0, 0.06))
            unlucky.assert_running()
            unlucky.kill()
            self.kills += 1
        self.server = CrashServer(self.folder).await_start()
        with self.server.wire() as wire:
            self._settle(wire)
            self._compare_accounts(wire)
            self._compare_marks(wire)
            self._compare_vectors(wire)

    def _settle(self, wire):
        names = [f"sequence:{teller.number}" for teller in self.tellers]
        for teller, value in zip(self.tellers, wire.call("MGET", *names)):
            teller.settle(int(value or 0), self.policy == "always")

    def _compare_accounts(self, wire):
        names = [f"account:{account}" for account in range(ACCOUNTS)]
        balances = [int(value) for value in wire.call("MGET", *names)]
        assert sum(balances) == ACCOUNTS * DEPOSIT, f"half a transfer is there: {balances}"
        for account, (name, balance) in enumerate(zip(names, balances)):
            found = unpack(wire.call("VGET", "ledger", name))
            assert found == (account, balance), f"{name} is {balance}, its vector {found}"

    def _compare_marks(self, wire):
        texts = wire.call("MGET", *[f"mark:{place}" for place in range(MARKS)])
        vectors = [unpack(wire.call("VGET", "marks", place)) for place in range(MARKS)]
        assert len(set(texts)) == 1 and len(set(vectors)) == 1, f"half a mark is there: {texts} {vectors}"
        number, sequence = map(int, texts[0].split(b":"))
        assert vectors[0] == (number, sequence), f"{texts[0]} stands beside {vectors[0]}"
        assert sequence <= self.tellers[number].sequence

    def _compare_vectors(self, wire):
        found = set(wire.call("VSEARCH", "batches", pack(0, 0, 0, 0), ALL, "EF", ALL)[::2])
        expected = set().union(*(teller.expected_names() for teller in self.tellers))
        assert found == expected, f"lost: {sorted(expected - found)}, not wanted: {sorted(found - expected)}"
        made = {f"own:{teller.number}:{teller.own}" for teller in self.tellers if teller.own is not None}
        assert set(wire.call("VLIST")) == {b"ledger", b"marks", b"batches", *map(str.encode, made)}
        for teller in self.tellers:
            if teller.own is None:
                continue
            name = f"own:{teller.number}:{teller.own}"
            assert wire.call("GET", f"own-of:{teller.number}") == name.encode()
            assert [unpack(wire.call("VGET", name, place)) for place in range(3)] == [
                (place, teller.own) for place in range(3)
            ]

    def end(self):
        self.server.end()

    def summary(self):
        executed = sum(teller.sequence for teller in self.tellers)
        aborted = sum(teller.aborted for teller in self.tellers)
        return f"{executed} transactions of tellers, {aborted} aborted"


def unpack(vector):
    return struct.unpack(f"<{len(vector) // 4}f", vector)
