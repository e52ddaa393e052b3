#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A picture of time: how strengths fade, and how that changes an answer.

  timeline.py                                  into the folder of results
  timeline.py --output experiments/figures     that of the README

Starts a server of its own whose clock is logical. Left: an item that is stored and then touched
twice, under four policies and pinned, as VSTRENGTH tells it. Right: one question to an index of
four notes, asked at every hour by VSEARCH ... AT; the lowest line is the answer.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from claims.report import save_figure
from client import Client
from common import cache_root, require, run_main
from processes import ENGRAM, engram

HOUR = 3_600_000
DAY = 24 * HOUR
DAYS = 28
OMEGA = 4  # of the notes: time weighs as much as meaning
TOUCHED = (4, 12)  # days
POLICIES = {
    "exp, half-life 4 days": ["exp", 4 * DAY],
    "power, exponent 0.5": ["power", 0.5],
    "ebb, stability 4 days": ["ebb", 4 * DAY],
    "exp, pinned": ["exp", 4 * DAY],
}
# Each note: its cosine distance to the question, the day it is stored, and how it fades.
NOTES = {
    "the door code (pinned)": (0.20, 0, ["PIN"]),
    "where lunch is (half-life 12 hours)": (0.02, 0, ["HALFLIFE", DAY // 2]),
    "the project's name (half-life 4 days)": (0.08, 0, []),
    "its new name, on day 10": (0.10, 10, []),
}
QUESTION = np.array([1, 0], "<f4")


def fading(client: Client) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Days, and by policy the strength of an item, over that when it was new."""
    times = np.arange(1, DAYS * 24) * HOUR
    curves = {}
    for number, (name, policy) in enumerate(POLICIES.items()):
        index = f"policy:{number}"
        ask = client.redis.execute_command
        ask("VNEW", index, 2, "PRIMITIVE", "flat", "DECAY", *policy, "CLOCK", "logical")
        pins = ["PIN"] if "pinned" in name else []
        ask("VADD", index, "item", QUESTION.tobytes(), "AT", 0, *pins)
        touches = [] if pins else [day * DAY for day in TOUCHED]
        told = []
        for time in times:
            while touches and touches[0] <= time:
                ask("VTOUCH", index, "item", "AT", touches.pop(0))
            told.append(strength(client, index, int(time)))
        curves[name] = list(np.array(told) / told[0])
    return times / DAY, curves


def strength(client: Client, index: str, time: int) -> float:
    reply = client.redis.execute_command("VSTRENGTH", index, "item", "AT", time)
    return float(dict(zip(reply[::2], reply[1::2]))[b"strength"])


def answers(client: Client) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Days, and by note its effective distance to the question; NaN before it is there."""
    ask = client.redis.execute_command
    decay = ["DECAY", "exp", 4 * DAY, "OMEGA", OMEGA, "CLOCK", "logical"]
    ask("VNEW", "notes", 2, "PRIMITIVE", "flat", *decay)
    times = np.arange(1, DAYS * 24) * HOUR
    waiting = sorted(NOTES.items(), key=lambda note: note[1][1])
    curves: dict[str, list[float]] = {name: [] for name in NOTES}
    for time in times:
        while waiting and waiting[0][1][1] * DAY <= time:
            name, (distance, day, options) = waiting.pop(0)
            similarity = 1 - distance
            vector = np.array([similarity, np.sqrt(1 - similarity**2)], "<f4")
            ask("VADD", "notes", name, vector.tobytes(), "AT", day * DAY, *options)
        reply = ask("VSEARCH", "notes", QUESTION.tobytes(), len(NOTES), "AT", int(time))
        found = {key.decode(): float(distance) for key, distance in zip(reply[::2], reply[1::2])}
        for name, curve in curves.items():
            curve.append(found.get(name, np.nan))
    return times / DAY, curves


def draw(pyplot: Any, strengths: Any, distances: Any) -> Any:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    days, curves = strengths
    for name, curve in curves.items():
        left.plot(days, curve, label=name)
    for day in TOUCHED:
        left.axvline(day, color="gray", linewidth=0.8, linestyle=":")
    left.set(title="an item that is touched twice", xlabel="days")
    left.set(ylabel="strength, over that of its first hour", yscale="log", ylim=(0.05, 3))
    days, curves = distances
    for name, curve in curves.items():
        right.plot(days, curve, label=name)
    lowest = np.nanmin(np.array(list(curves.values())), axis=0)
    right.plot(days, lowest, color="black", linewidth=5, alpha=0.15, label="the answer")
    right.set(title="one question, four notes", xlabel="days")
    right.set(ylabel="effective distance", ylim=(0, 0.35))
    for axes, place in ((left, "lower left"), (right, "lower right")):
        axes.grid(True, alpha=0.3)
        axes.legend(fontsize=8, loc=place)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the server to run")
    parser.add_argument("--output", type=Path, default=cache_root() / "results")
    args = parser.parse_args()

    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    args.output.mkdir(parents=True, exist_ok=True)
    with engram(args.server, "--appendonly", "no") as server:
        server.start().close()
        client = Client("127.0.0.1", server.port)
        figure = draw(pyplot, fading(client), answers(client))
    path = args.output / "time.png"
    save_figure(figure, None, path)
    print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
