# SPDX-License-Identifier: Apache-2.0
"""Primitives that are written in Python."""

from __future__ import annotations

import inspect
import re
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union, overload

from ._engine import Memory, register_primitive
from ._errors import InvalidArgument

Class = TypeVar("Class", bound=type)


class Option(NamedTuple):
    """What ``option()`` says."""

    default: float
    least: float
    most: float
    help: str


class Declaration(NamedTuple):
    """What register_primitive() is told of a class."""

    name: str
    summary: str
    source: str
    exact: bool
    takes_ef: bool
    recalls: bool
    has_energy: bool
    options: list[tuple[str, bool, float, float, float, str]]
    make: Callable[[Memory, dict[str, Any]], object]


@overload
def option(default: int, least: int, most: int, help: str) -> int: ...
@overload
def option(default: float, least: float, most: float, help: str) -> float: ...
def option(default: Any, least: Any, most: Any, help: str) -> Any:
    """An option of a primitive, as an attribute of its class; instances have its value. VNEW and ``Index`` take it by the
    attribute's name. least, most: of its values. help: one line.
    """
    return Option(default, least, most, help)


@overload
def primitive(cls: Class) -> Class: ...
@overload
def primitive(*, name: Optional[str] = ..., source: str = ..., exact: bool = ...) -> Callable[[Class], Class]: ...
def primitive(
    cls: Optional[Class] = None, *, name: Optional[str] = None, source: str = "", exact: bool = False
) -> Union[Class, Callable[[Class], Class]]:
    """Makes a class a primitive: ``Index(dim, primitive="name")`` and VNEW of this process know it from now on.

    name: else that of the class in lower case. source: the paper. exact: search answers the true nearest. The first line
    of the docstring is the summary. The class has

    - ``__init__(memory)``: makes an empty one over a ``Memory``, through which it sees its items.
    - ``insert(slot)``: the slot is held, and its row is there. What raises has changed nothing.
    - ``erase(slot)``: the slot is held until this returns. If it raises, a new instance is given all that is held.
    - ``search(query, k)``, or ``search(query, k, ef=0)``: an array of at least k slots, in any order. query: float32 [dim],
      of unit length under cosine; k: at most what is held. The engine compares them with the query and answers the k
      nearest.
    - ``recall(cue, known)``, if it recalls otherwise than hopfield: the state, [dim]. known: bool [dim], or None for all.
    - ``energy(state)``, beside recall: a number.

    Writes run alone; searches and recalls may run on several threads at once. No method may ask a store. Nothing of an
    instance is saved: what a store holds is inserted again when it opens, into a process that knows the class.

    A class of the same name replaces the former for indexes that are made from then on. Raises InvalidArgument;
    AlreadyExists for the name of a primitive of the engine.
    """

    def register(given: Class) -> Class:
        declaration = declaration_of(given, name or given.__name__.lower(), source, exact)
        register_primitive(*declaration)
        return given

    return register if cls is None else register(cls)


def declaration_of(cls: type, name: str, source: str = "", exact: bool = False) -> Declaration:
    """Reads a class, and puts the defaults of its options in their places. Raises InvalidArgument."""
    if not re.fullmatch("[a-z][a-z0-9_-]{0,63}", name):
        raise InvalidArgument(f"a primitive's name is lower case letters, digits, '-' and '_', got {name!r}")
    for method in ("insert", "erase", "search"):
        if not callable(getattr(cls, method, None)):
            raise InvalidArgument(f"a primitive has insert, erase and search, {cls.__name__} has no {method}")
    recalls = hasattr(cls, "recall")
    has_energy = hasattr(cls, "energy")
    if has_energy and not recalls:
        raise InvalidArgument(f"energy() is that of a recall, {cls.__name__} has no recall()")
    options: list[tuple[str, bool, float, float, float, str]] = []
    for attribute, said in list(vars(cls).items()):
        if not isinstance(said, Option):
            continue
        if not re.fullmatch("[a-z][a-z0-9_]*", attribute) or not said.least <= said.default <= said.most:
            raise InvalidArgument(
                f"option {attribute!r} has a name in lower case and a default between its least and most, got {said}"
            )
        is_integer = all(isinstance(number, int) for number in said[:3])
        numbers = float(said.default), float(said.least), float(said.most)
        options.append((attribute.upper(), is_integer, *numbers, said.help))
        setattr(cls, attribute, said.default)

    def make(memory: Memory, values: dict[str, Any]) -> object:
        instance: Any = object.__new__(cls)
        for attribute, value in values.items():
            setattr(instance, attribute, value)
        instance.__init__(memory)
        return instance

    return Declaration(
        name,
        (inspect.getdoc(cls) or cls.__name__).splitlines()[0].rstrip("."),
        source or f"{cls.__module__}.{cls.__qualname__}",
        exact,
        "ef" in inspect.signature(getattr(cls, "search")).parameters,
        recalls,
        has_energy,
        options,
        make,
    )
