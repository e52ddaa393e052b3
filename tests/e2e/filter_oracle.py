# SPDX-License-Identifier: Apache-2.0
"""Random attributes, random filters of both grammars, and what they are true of, found value by value
from what the documents say: a second opinion on server/filters."""

import json
import math
import re

import numpy as np

FIELDS = ["a", "b", "c", "tags", "größe", "x_y-z"]
STRINGS = ["", "a", "ab", "abc", "b", "1", "1.5", " 2", "2 ", "0x10", "1e308", "-0", "inf"]
STRINGS += ["é", "😀", 'q"\\', "l1\nl2"]
NUMBERS = [0.0, -0.0, 1.0, 2.0, -1.0, 1.5, 16.0, 3.0, 1e308, -1e308, 5e-324, 1e-3, 0.1]
SPELLED = re.compile(
    r"[ \t\n\v\f\r]*([+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|infinity|nan))", re.IGNORECASE
)
MISSING = object()


def random_value(rng, depth=0):
    kind = rng.integers(12 if depth < 2 else 8)
    if kind < 3:
        return NUMBERS[rng.integers(len(NUMBERS))]
    if kind < 6:
        return STRINGS[rng.integers(len(STRINGS))]
    if kind < 8:
        return [True, False, None][rng.integers(3)]
    if kind < 11:
        return [random_value(rng, depth + 1) for _ in range(rng.integers(4))]
    return {name: random_value(rng, depth + 1) for name in ("p", "q") if rng.random() < 0.7}


def random_attributes(rng):
    """A JSON object, or None for an item that has no attributes."""
    if rng.random() < 0.08:
        return None
    return {name: random_value(rng) for name in FIELDS if rng.random() < 0.75}


# The grammar of Redis.


def number(value):
    if isinstance(value, (bool, float, int)):
        return float(value)
    if isinstance(value, str) and len(value.encode()) < 256:
        found = SPELLED.fullmatch(value)
        if found:
            text = found.group(1).lower()
            return float.fromhex(text) if "0x" in text else float(text)
    return 0.0


def truth(value):
    if isinstance(value, (bool, float, int)):
        return value != 0
    return value is not None and value != ""


def equal(a, b):
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    if a is None or b is None:
        return a is None and b is None
    return number(a) == number(b)


def is_within(a, b):
    if isinstance(b, list):
        return any(equal(a, member) for member in b)
    return isinstance(a, str) and isinstance(b, str) and a.encode() in b.encode()


def calculate(op, a, b):
    with np.errstate(all="ignore"):
        a, b = np.float64(number(a)), np.float64(number(b))
        if op == "**":
            return float(np.power(a, b))
        if op == "%":
            return float(np.fmod(a, b))
        return float({"+": a + b, "-": a - b, "*": a * b, "/": a / b if op == "/" else 0}[op])


LEVELS = {"or": 0, "||": 0, "and": 1, "&&": 1, "in": 2, "==": 2, "!=": 2, "<": 2, "<=": 2, ">": 2, ">=": 2}
LEVELS |= {"+": 3, "-": 3, "*": 4, "/": 4, "%": 4, "**": 5}
OPERATORS = {
    "or": lambda a, b: truth(a) or truth(b),
    "and": lambda a, b: truth(a) and truth(b),
    "in": is_within,
    "==": equal,
    "!=": lambda a, b: not equal(a, b),
    "<": lambda a, b: number(a) < number(b),
    "<=": lambda a, b: number(a) <= number(b),
    ">": lambda a, b: number(a) > number(b),
    ">=": lambda a, b: number(a) >= number(b),
}
OPERATORS |= {"||": OPERATORS["or"], "&&": OPERATORS["and"]}


def random_constant(rng):
    if rng.random() < 0.5:
        return NUMBERS[rng.integers(len(NUMBERS))]
    return STRINGS[rng.integers(len(STRINGS))]


def random_expression(rng, depth):
    """A tree: ("field", name), ("value", value), ("not", tree), or (operator, tree, tree)."""
    kind = rng.random()
    if depth == 0 or kind < 0.1:
        if rng.random() < 0.6:
            return ("field", FIELDS[rng.integers(len(FIELDS))])
        if rng.random() < 0.15:
            return ("value", [True, False, None][rng.integers(3)])
        return ("value", random_constant(rng))
    if kind < 0.2:
        return ("not", random_expression(rng, depth - 1))
    if kind < 0.3:
        members = [random_constant(rng) for _ in range(rng.integers(12))]
        return ("in", random_expression(rng, 0), ("value", members))
    ops = list(LEVELS)
    return (ops[rng.integers(len(ops))], random_expression(rng, depth - 1), random_expression(rng, depth - 1))


def write_constant(rng, value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(write_constant(rng, member) for member in value) + "]"
    if isinstance(value, float):
        return repr(value) if rng.random() < 0.5 else f"{value:.17g}"
    if "\n" in value or rng.random() < 0.3:
        return json.dumps(value)
    quote = "'" if rng.random() < 0.5 else '"'
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def write_expression(rng, tree):
    """Its text, and how tightly its outermost operator binds."""
    if tree[0] == "field":
        return "." + tree[1], 9
    if tree[0] == "value":
        return write_constant(rng, tree[1]), 9

    def operand(child, least):
        text, level = write_expression(rng, child)
        return "(" + text + ")" if level < least or rng.random() < 0.2 else text

    if tree[0] == "not":
        return ("!" if rng.random() < 0.5 else "not ") + operand(tree[1], 6), 6
    level = LEVELS[tree[0]]
    groups_right = tree[0] == "**"
    left = operand(tree[1], level + groups_right)
    right = operand(tree[2], level + (not groups_right))
    return f"{left} {tree[0]} {right}", level


def has_object(value):
    return isinstance(value, dict) or (isinstance(value, list) and any(map(has_object, value)))


def evaluate(tree, item):
    if tree[0] == "field":
        return item[tree[1]]
    if tree[0] == "value":
        return tree[1]
    if tree[0] == "not":
        return not truth(evaluate(tree[1], item))
    a, b = evaluate(tree[1], item), evaluate(tree[2], item)
    if tree[0] in OPERATORS:
        return bool(OPERATORS[tree[0]](a, b))
    return calculate(tree[0], a, b)


def fields_of(tree):
    if tree[0] == "field":
        return {tree[1]}
    return set() if tree[0] == "value" else set().union(*map(fields_of, tree[1:]))


def redis_filter(rng):
    """A text, and what it is true of."""
    tree = random_expression(rng, int(rng.integers(1, 5)))
    fields = fields_of(tree)

    def holds(item):
        item = item or {}
        if any(name not in item or has_object(item[name]) for name in fields):
            return False
        return truth(evaluate(tree, item))

    return write_expression(rng, tree)[0], holds


# The grammar in JSON.


def find(item, path):
    for name in path.split("."):
        if not isinstance(item, dict) or name not in item:
            return MISSING
        item = item[name]
    return item


def same(value, constant):
    if isinstance(value, (dict, list)) or value is MISSING:
        return False
    if isinstance(value, bool) or isinstance(constant, bool) or value is None or constant is None:
        return value is constant
    return type(value) is type(constant) and value == constant


def is_any(value, constants):
    members = value if isinstance(value, list) else [value]
    return any(same(member, constant) for member in members for constant in constants)


def is_ordered(op, value, bound):
    if isinstance(value, bool) or type(value) is not type(bound) or not isinstance(bound, (float, str)):
        return False
    if isinstance(value, str):
        value, bound = value.encode(), bound.encode()
    return {"lt": value < bound, "lte": value <= bound, "gt": value > bound, "gte": value >= bound}[op]


def random_json_value(rng):
    return [True, False, None][rng.integers(3)] if rng.random() < 0.15 else random_constant(rng)


def random_json_filter(rng, depth):
    ops = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "exists"] + ["and", "or", "not"] * 2 * (depth > 0)
    op = ops[rng.integers(len(ops))]
    if op == "not":
        return {"op": op, "filters": [random_json_filter(rng, depth - 1)]}
    if op in ("and", "or"):
        return {"op": op, "filters": [random_json_filter(rng, depth - 1) for _ in range(rng.integers(4))]}
    field = FIELDS[rng.integers(len(FIELDS))] + ["", "", ".p", ".q.p"][rng.integers(4)]
    if op == "exists":
        return {"op": op, "field": field}
    if op == "in":
        return {"op": op, "field": field, "value": [random_json_value(rng) for _ in range(rng.integers(12))]}
    return {"op": op, "field": field, "value": random_json_value(rng)}


def json_holds(tree, item):
    op = tree["op"]
    if op in ("and", "or"):
        return {"and": all, "or": any}[op](json_holds(one, item) for one in tree["filters"])
    if op == "not":
        return not json_holds(tree["filters"][0], item)
    value = find(item, tree["field"])
    if op == "exists":
        return value is not MISSING
    if op in ("eq", "ne", "in"):
        constants = tree["value"] if op == "in" else [tree["value"]]
        return is_any(value, constants) != (op == "ne")
    return is_ordered(op, value, tree["value"])


def json_filter(rng):
    tree = random_json_filter(rng, int(rng.integers(4)))
    text = json.dumps(tree, ensure_ascii=bool(rng.random() < 0.5))
    return text, lambda item: json_holds(tree, item or {})


def random_filter(rng):
    return redis_filter(rng) if rng.random() < 0.5 else json_filter(rng)


def attributes_text(rng, item):
    return json.dumps(item, ensure_ascii=bool(rng.random() < 0.5))


assert math.isinf(number("inf")) and number("2 ") == 0 and number("0x10") == 16 and number(" 2") == 2
