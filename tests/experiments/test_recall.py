# SPDX-License-Identifier: Apache-2.0
"""Reading a sweep, and the median over rounds."""

import argparse

import pytest

from common import add_rounds
from measure import Point
from recall import median_of, parse_sweep, setting_of


def test_a_sweep_has_a_search_for_each_value():
    sweep = parse_sweep("EF=10,200")
    assert [setting_of(options) for options in sweep] == ["EF=10", "EF=200"]
    assert [setting_of(options) for options in parse_sweep("none")] == ["-"]


@pytest.mark.parametrize("text", ["EF", "EF=", "=1", "EF=1,,2"])
def test_a_sweep_that_says_nothing_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        parse_sweep(text)


def test_the_median_of_each_figure_counts():
    rounds = [
        Point("EF=10", 0.8, 3.0, 7.0, 100.0),
        Point("EF=10", 0.8, 1.0, 9.0, 300.0),
        Point("EF=10", 0.8, 2.0, 8.0, 200.0),
    ]
    assert median_of(rounds) == Point("EF=10", 0.8, 2.0, 8.0, 200.0)


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5"])
def test_no_rounds_are_refused(text, capsys):
    parser = argparse.ArgumentParser()
    add_rounds(parser, 3)
    assert parser.parse_args([]).rounds == 3 and parser.parse_args(["--rounds", "2"]).rounds == 2
    with pytest.raises(SystemExit):
        parser.parse_args(["--rounds", text])
    assert "is not a number above 0" in capsys.readouterr().err
