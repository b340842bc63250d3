#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the #include directions between the rooms and fails on any that the house does not have.

usage: check_includes.py INCLUDE-DIRECTORY | --self-test
"""
import pathlib
import re
import sys
import tempfile

# Which rooms a room may include, besides itself and the headers at the root listed in EVERYWHERE.
ROOMS = {
    "core": [],
    "dataset": ["core"],
    "packing": ["core"],
    "dispatch": ["core", "dataset", "packing"],
    "rebalance": ["core", "dataset", "packing"],
    "pipeline": ["core"],
    "cost": ["core", "pipeline"],
    "partition": ["core", "pipeline"],
    "recompute": ["core", "pipeline"],
    "planner": ["core", "pipeline", "cost", "partition", "recompute"],
    "baselines": ["core", "dataset", "packing", "dispatch", "pipeline", "cost", "partition",
                  "recompute", "planner"],
    "run": ["core", "dataset", "packing", "dispatch", "rebalance", "pipeline", "cost", "partition",
            "recompute", "planner", "baselines"],
    "interop": ["core", "pipeline", "cost", "planner"],
    "comm": ["core", "rebalance", "pipeline", "run"],
    "gpu": ["core"],
}
EVERYWHERE = ["config.hpp", "version.hpp"]
UMBRELLA = "omnibal.hpp"

# Headers that may include more than the standard library, and what.
GPU = r"(cuda|thrust|cub|nv)/.*|cuda.*\.h|vector_types\.h"
OUTSIDE = {
    "comm/mpi.hpp": r"mpi\.h",
    "comm/nccl.hpp": r"nccl\.h|cuda_runtime(_api)?\.h|vector_types\.h",
}
STANDARD = r"[a-z_0-9]+"  # the headers of the C++ standard library have neither / nor .

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]*)>|"([^"]*)"|(.*))')


def room_of(header):
    """The room a header stands in; '' for those at the root."""
    return header.split("/")[0] if "/" in header else ""


def fault_of_inner(header, target):
    """Why `header` may not include the header `target` of the library, or None."""
    room, wanted = room_of(header), room_of(target)
    if target in EVERYWHERE:
        return None
    if header == UMBRELLA:
        part = wanted == "gpu" or target in OUTSIDE
        return "the host headers stand without this part's dependency" if part else None
    if room == "":
        return "only omnibal.hpp looks into the rooms"
    if wanted == "":
        return "a room does not include the whole house"
    if target in OUTSIDE:
        return "only its user includes a header that needs a dependency"
    if wanted != room and wanted not in ROOMS[room]:
        return f"{room} may include {', '.join(ROOMS[room]) or 'no other room'}"
    return None


def fault_of_outer(header, target):
    """Why `header` may not include `target`, which is not of the library, or None."""
    allowed = GPU if room_of(header) == "gpu" else OUTSIDE.get(header, r"(?!)")
    if re.fullmatch(STANDARD, target) or re.fullmatch(allowed, target):
        return None
    return "host headers include the standard library and each other, nothing else"


def check(directory):
    """The faults of the headers under directory/omnibal, one line each, and how many were read."""
    root = pathlib.Path(directory) / "omnibal"
    headers = sorted(p for p in root.rglob("*") if p.suffix in (".hpp", ".cuh"))
    includes, faults = {}, []
    for path in headers:
        header = path.relative_to(root).as_posix()
        includes[header] = []
        room = room_of(header)
        if room and room not in ROOMS:
            faults.append(f"{header}: the house has no room {room}")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            angled, quoted, _ = match.groups()
            if angled is None:
                name, why = quoted or line.strip(), "includes are written <omnibal/room/header.hpp>"
            elif angled.startswith("omnibal/"):
                name = angled.removeprefix("omnibal/")
                includes[header].append(name)
                why = fault_of_inner(header, name)
            else:
                name, why = angled, fault_of_outer(header, angled)
            if why:
                faults.append(f"{header}:{number}: includes {name}: {why}")
    faults += circles(includes)
    if UMBRELLA in includes:
        faults += forgotten(includes)
    return faults, len(headers)


def circles(includes):
    """Headers that reach themselves; an include guard would hide it."""
    faults, done = [], set()

    def visit(header, path):
        if header in path:
            faults.append("circle: " + " -> ".join(path[path.index(header) :] + [header]))
        elif header not in done:
            for target in includes.get(header, []):
                visit(target, path + [header])
            done.add(header)

    for header in includes:
        visit(header, [])
    return faults


def forgotten(includes):
    """Host headers that omnibal.hpp does not reach."""
    reached, waiting = set(), [UMBRELLA]
    while waiting:
        header = waiting.pop()
        if header not in reached:
            reached.add(header)
            waiting += includes.get(header, [])
    return [
        f"{UMBRELLA}: does not include {header}"
        for header in includes
        if header not in reached and room_of(header) != "gpu" and header not in OUTSIDE
    ]


# What the self-test plants: a header, a line in it, and a part of the fault expected (None: none).
PLANTED = [
    ("core/a.hpp", "#include <vector>", None),
    ("core/a.hpp", "#include <omnibal/config.hpp>", None),
    ("dispatch/a.hpp", "#include <omnibal/packing/isf.hpp>", None),
    ("comm/mpi.hpp", "#include <mpi.h>", None),
    ("gpu/a.cuh", "#include <cub/device/device_scan.cuh>", None),
    ("omnibal.hpp", "#include <omnibal/planner/plan.hpp>", None),
    ("core/a.hpp", "#include <omnibal/packing/isf.hpp>", "core may include no other room"),
    ("packing/a.hpp", "  #  include <omnibal/dispatch/a.hpp>", "packing may include core"),
    ("pipeline/a.hpp", "#include <omnibal/cost/a.hpp>", "pipeline may include core"),
    ("partition/a.hpp", "#include <omnibal/recompute/a.hpp>", "partition may include"),
    ("cost/a.hpp", "#include <omnibal/planner/a.hpp>", "cost may include"),
    ("planner/a.hpp", "#include <omnibal/baselines/a.hpp>", "planner may include"),
    ("run/a.hpp", "#include <omnibal/comm/a.hpp>", "run may include"),
    ("comm/a.hpp", "#include <omnibal/packing/a.hpp>", "comm may include core, rebalance"),
    ("core/a.hpp", "#include <omnibal/omnibal.hpp>", "whole house"),
    ("core/a.hpp", "#include <thrust/sort.h>", "nothing else"),
    ("core/a.hpp", "#include <cuda/std/span>", "nothing else"),
    ("packing/a.hpp", "#include <cub/cub.cuh>", "nothing else"),
    ("packing/a.hpp", "#include <unistd.h>", "nothing else"),
    ("comm/a.hpp", "#include <mpi.h>", "nothing else"),
    ("comm/a.hpp", "#include <omnibal/comm/mpi.hpp>", "needs a dependency"),
    ("core/a.hpp", '#include "error.hpp"', "written <omnibal/"),
    ("attic/a.hpp", "#include <vector>", "no room attic"),
    ("omnibal.hpp", "#include <omnibal/gpu/a.cuh>", "without this part"),
    ("omnibal.hpp", "#include <vector>", "does not include core/known.hpp"),
    ("core/a.hpp", "#include <omnibal/core/a.hpp>", "circle"),
]


def self_test():
    wrong = []
    for header, line, expected in PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory) / "omnibal"
            path = root / header
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(line + "\n", encoding="utf-8")
            if expected and "known.hpp" in expected:
                (root / "core").mkdir(exist_ok=True)
                (root / "core" / "known.hpp").write_text("", encoding="utf-8")
            faults, _ = check(directory)
            found = expected is None and not faults or expected and any(expected in f for f in faults)
            if not found:
                wrong.append(f"{line} in {header}: expected {expected}, found {faults}")
    return wrong, len(PLANTED)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    faults, count = self_test() if sys.argv[1] == "--self-test" else check(sys.argv[1])
    for fault in faults:
        print(fault)
    print(f"{count} read, {len(faults)} faults")
    sys.exit(1 if faults or count == 0 else 0)


if __name__ == "__main__":
    main()
