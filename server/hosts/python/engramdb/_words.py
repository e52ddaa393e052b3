# SPDX-License-Identifier: Apache-2.0
"""Options as the engine reads them: names and texts."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping, Optional, Union

import numpy as np
import numpy.typing as npt

Words = list[tuple[str, str]]
Mask = Union[str, slice, Iterable[int], npt.NDArray[np.bool_]]
Attributes = Mapping[str, Any]

NAMES = {"filter_ef": "FILTER-EF"}


def text_of(value: Any) -> str:
    """Numbers so that they read back the same, a dict as JSON, a tuple as its words."""
    if type(value) is int:  # most often, and no subclass: a bool is another text
        return str(value)
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, (tuple, list)):
        return " ".join(text_of(part) for part in value)
    return str(value)


def words_of(options: Mapping[str, Any]) -> Words:
    """Those that are not None."""
    return [(NAMES.get(name) or name.upper(), text_of(value)) for name, value in options.items() if value is not None]


def json_of(attributes: Optional[Attributes]) -> str:
    """An empty text for none."""
    return json.dumps(attributes) if attributes else ""


def mask_text(mask: Mask, dim: int) -> str:
    """The known coordinates as ranges, both ends included: "0-391,400"."""
    if isinstance(mask, str):
        return mask
    if isinstance(mask, slice):
        known = np.arange(dim)[mask]
    else:
        known = np.asarray(mask if isinstance(mask, np.ndarray) else list(mask))
        if known.dtype == np.bool_:
            known = np.flatnonzero(known)
    known = np.unique(known.astype(np.int64))
    starts = np.flatnonzero(np.diff(known, prepend=known[:1] - 2) != 1)
    ends = np.append(starts[1:], len(known)) - 1
    return ",".join(f"{known[a]}-{known[b]}" if a != b else f"{known[a]}" for a, b in zip(starts, ends))
