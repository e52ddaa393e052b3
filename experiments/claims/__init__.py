# SPDX-License-Identifier: Apache-2.0
"""What papers say of associative memories, each beside what a running server shows: the tables of
anchors.py, one module each."""
