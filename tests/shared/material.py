# SPDX-License-Identifier: Apache-2.0
"""Finds material that is no part of the project, for the tests beside this file, each of which is
called with the path of the command."""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cli"))
from command import CHECKOUT, CommandTest, main  # noqa: E402, F401

SHARED = os.environ.get("OMNIBAL_SHARED", os.path.join(CHECKOUT, "..", "shared"))


def need(*patterns):
    """The files that match. Exits with 77, which ctest reads as skipped, where one matches none."""
    found = []
    for pattern in patterns:
        paths = sorted(glob.glob(os.path.join(SHARED, pattern)))
        if not paths:
            print(f"skipped: no {pattern} in {SHARED}")
            sys.exit(77)
        found += map(os.path.abspath, paths)
    return found
