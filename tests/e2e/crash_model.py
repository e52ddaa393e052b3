# SPDX-License-Identifier: Apache-2.0
"""What the keys of one client hold after each of its commands: a small interpreter of those commands
that the crash test sends. States are never changed in place, so that each can be kept."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

CLOCK_SLACK_MS = 60
HALF_LIFE_MS = 1000
TOLERANCE = 2e-5


class Text(NamedTuple):
    """A string. `expires` is None or the earliest and latest unix time in ms that it may have."""

    value: bytes
    expires: tuple | None = None


@dataclass(frozen=True)
class Index:
    """A collection: how VNEW made it, its packed vectors by key, the logarithms of their strengths at
    time 0 if it keeps them, and the attributes of the keys that have some."""

    dim: int
    metric: str
    primitive: str
    vectors: dict
    expires: tuple | None = None
    strengths: dict | None = None
    attributes: dict = field(default_factory=dict)


class Window(NamedTuple):
    """Unix times in ms between which the server executed a command."""

    earliest: int
    latest: int

    def plus(self, milliseconds):
        return (self.earliest + milliseconds, self.latest + milliseconds)


ANY_REPLY = object()


def apply(state, command, window):
    """The state after the command, and the reply that it gets or ANY_REPLY."""
    return _COMMANDS[command[0]](dict(state), command[1:], window)


def _set(state, arguments, window):
    key, value, *options = arguments
    former = state.get(key)
    expires = None
    while options:
        option = options.pop(0)
        if option == "NX" and former is not None:
            return state, None
        if option == "XX" and former is None:
            return state, None
        if option == "KEEPTTL":
            expires = former.expires if former else None
        if option in ("EX", "PX"):
            expires = window.plus(options.pop(0) * (1000 if option == "EX" else 1))
        if option == "PXAT":
            at = options.pop(0)
            expires = (at, at)
    state[key] = Text(value, expires)
    return state, "OK"


def _mset(state, arguments, _):
    for key, value in zip(arguments[::2], arguments[1::2]):
        state[key] = Text(value)
    return state, "OK"


def _append(state, arguments, _):
    key, suffix = arguments
    former = state.get(key, Text(b""))
    state[key] = Text(former.value + suffix, former.expires)
    return state, len(state[key].value)


def _incrby(state, arguments, _):
    key, step = arguments
    former = state.get(key, Text(b"0"))
    number = int(former.value) + step
    state[key] = Text(b"%d" % number, former.expires)
    return state, number


def _del(state, keys, window):
    # Whether a key that expires about now was still there is not known.
    known = all(_lives(state.get(key), window) in (True, None) for key in keys)
    erased = sum(state.pop(key, None) is not None for key in keys)
    return state, erased if known else ANY_REPLY


def _lives(value, window):
    """Whether a value is there all the time; None if there is no value."""
    if value is None:
        return None
    expires = value.expires
    return expires is None or expires[0] - CLOCK_SLACK_MS > window.latest


def _pexpire(state, arguments, window):
    key, milliseconds = arguments
    if key not in state:
        return state, 0
    state[key] = _with_expiry(state[key], window.plus(milliseconds))
    return state, 1


def _persist(state, arguments, _):
    (key,) = arguments
    former = state.get(key)
    if former is None or former.expires is None:
        return state, 0
    state[key] = _with_expiry(former, None)
    return state, 1


def _with_expiry(value, expires):
    if isinstance(value, Text):
        return value._replace(expires=expires)
    return replace(value, expires=expires)


def _vnew(state, arguments, _):
    key, dim, _, metric, _, primitive, *decay = arguments
    state[key] = Index(dim, metric, primitive, {}, strengths={} if decay else None)
    return state, "OK"


def _vadd(state, arguments, window):
    key, name, vector, *options = arguments
    strengths = state[key].strengths
    state, new = _vmadd(state, [key, name, vector], window)
    if "SETATTR" in options:
        *options, _, json = options
        _with_attributes(state, key, name, json)
    if strengths is not None:
        _, gain, _, at, *keeps = options
        given = log_gain(gain, at)
        if keeps and name in strengths:
            given = np.logaddexp(strengths[name], given)
        state[key] = replace(state[key], strengths=strengths | {name: given})
    return state, new


def _vsetattr(state, arguments, _):
    key, name, json = arguments
    if name not in state[key].vectors:
        return state, 0
    _with_attributes(state, key, name, json)
    return state, 1


def _with_attributes(state, key, name, json):
    attributes = {other: value for other, value in state[key].attributes.items() if other != name}
    if json:
        attributes[name] = json
    state[key] = replace(state[key], attributes=attributes)


def _vtouch(state, arguments, _):
    key, name, _, gain, _, at = arguments
    strengths = state[key].strengths
    if name in strengths:
        touched = np.logaddexp(strengths[name], log_gain(gain, at))
        state[key] = replace(state[key], strengths=strengths | {name: touched})
    return state, ANY_REPLY


def log_gain(gain, at):
    return np.log(gain) + np.log(2) * at / HALF_LIFE_MS


def _vmadd(state, arguments, _):
    key, *items = arguments
    index = state[key]
    added = dict(zip(items[::2], items[1::2]))
    new = sum(name not in index.vectors for name in added)
    state[key] = replace(index, vectors=index.vectors | added)
    return state, new


def _vdel(state, arguments, _):
    key, name = arguments
    index = state[key]
    vectors = dict(index.vectors)
    erased = vectors.pop(name, None) is not None
    strengths = index.strengths
    if strengths is not None:
        strengths = {other: value for other, value in strengths.items() if other != name}
    state[key] = replace(index, vectors=vectors, strengths=strengths)
    _with_attributes(state, key, name, b"")
    return state, int(erased)


def _vdrop(state, arguments, _):
    del state[arguments[0]]
    return state, "OK"


def _flushall(_state, _arguments, _window):
    return {}, "OK"


def _unchanged(state, _arguments, _window):
    return state, ANY_REPLY


_COMMANDS = {
    "BGSAVE": _unchanged,
    "VSAVE": _unchanged,
    "SET": _set,
    "MSET": _mset,
    "APPEND": _append,
    "INCRBY": _incrby,
    "DEL": _del,
    "PEXPIRE": _pexpire,
    "PERSIST": _persist,
    "VNEW": _vnew,
    "VADD": _vadd,
    "VMADD": _vmadd,
    "VSETATTR": _vsetattr,
    "VTOUCH": _vtouch,
    "VDEL": _vdel,
    "VDROP": _vdrop,
    "FLUSHALL": _flushall,
}


# ---- what a server has, against a state


def difference(state, actual, now_ms):
    """Says how `actual`, another state, differs from what may be
    there at `now_ms`; None if it does not."""
    for key in actual.keys() - state.keys():
        return f"{key} is there, and should not be: {_shown(actual[key])}"
    for key, expected in state.items():
        found = actual.get(key)
        if found is None:
            expires = expected.expires
            if expires is None or expires[0] - CLOCK_SLACK_MS > now_ms:
                return f"{key} is lost: {_shown(expected)}"
        elif (wrong := _difference_of_values(expected, found)) is not None:
            return f"{key} {wrong}"
    return None


def _difference_of_values(expected, found):
    if not _may_expire(expected.expires, found.expires):
        return f"expires at {found.expires}, expected {expected.expires}"
    if isinstance(expected, Text) and isinstance(found, Text):
        same = expected.value == found.value
        return None if same else f"is {_shown(found)}, expected {_shown(expected)}"
    if _shape(expected) != _shape(found):
        return f"is {_shown(found)}, expected {_shown(expected)}"
    for name, vector in expected.vectors.items():
        if not np.allclose(unpack(vector), unpack(found.vectors[name]), rtol=TOLERANCE, atol=1e-6):
            return f"has another vector under {name}"
    if expected.attributes != found.attributes:
        return f"has attributes {_some(found.attributes)}, expected {_some(expected.attributes)}"
    for name, strength in (expected.strengths or {}).items():
        if not np.isclose(strength, found.strengths[name], rtol=0, atol=1e-9):
            return f"has {name} at {found.strengths[name]}, expected {strength}"
    return None


def _shape(value):
    if isinstance(value, Text):
        return None
    strengths = value.strengths
    return (
        value.dim,
        value.metric,
        value.primitive,
        value.vectors.keys(),
        None if strengths is None else strengths.keys(),
    )


def _may_expire(expected, found):
    if expected is None or found is None:
        return expected is found
    return (
        expected[0] - CLOCK_SLACK_MS <= found[1] and found[0] <= expected[1] + CLOCK_SLACK_MS
    )


def _shown(value):
    if isinstance(value, Index):
        return f"{value.primitive}/{value.metric} of {sorted(value.vectors)}"
    return repr(value)[:200]


def _some(attributes):
    return {name: json[:40] for name, json in attributes.items()}


def unpack(vector):
    return np.frombuffer(vector, dtype="<f4")


def distances(index, query):
    """The names and exact distances of all vectors of an index, effective ones if it keeps strengths, closest
    first."""
    names = list(index.vectors)
    if not names:
        return names, np.zeros(0)
    rows = np.stack([unpack(index.vectors[name]) for name in names]).astype(np.float64)
    query = unpack(query).astype(np.float64)
    penalties = np.zeros(len(names))
    if index.strengths is not None:
        strengths = np.array([index.strengths[name] for name in names])
        beta = 100 if index.metric == "cosine" and index.primitive != "lsr" else 1
        penalties = (strengths.max() - strengths) / beta
    if index.metric == "l2":
        found = np.sqrt(np.sum((rows - query) ** 2, axis=1) + 2 * penalties)
    else:
        found = rows @ query
        if index.metric == "cosine":
            found = found / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
        found = (1 if index.metric == "cosine" else 0) - found + penalties
    order = np.argsort(found, kind="stable")
    return [names[row] for row in order], found[order]
