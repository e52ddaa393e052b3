# SPDX-License-Identifier: Apache-2.0
"""The experiments are scripts that import each other by name; the tests see them the same way."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments"))
