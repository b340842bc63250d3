#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the #include lines of the headers and fails on any that the architecture does not have.

usage: check_includes.py INCLUDE-DIRECTORY [USER-DIRECTORY...] | --self-test

A header <module>/x.hpp is public. <module>/detail/ is the machinery of the module and
<module>/impl/ holds the bodies of its functions: no file outside the module includes either, nor
does a program in a USER-DIRECTORY. <module>.hpp, the umbrella of the module, includes all its
public headers and nothing else; omnibal.hpp includes all umbrellas.
"""
import pathlib
import re
import sys
import tempfile

# Which modules a module may include, besides itself and the headers listed in EVERYWHERE.
MODULES = {
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
    "interop": ["core", "pipeline", "cost", "recompute", "planner"],
    "comm": ["core", "rebalance", "pipeline", "run"],
    "indices": ["core", "packing"],
    "gpu": ["core", "indices"],
}
EVERYWHERE = ["config.hpp", "version.hpp"]
EVERYTHING = "omnibal.hpp"
# What config.hpp includes to end the compilation where it cannot go on: there is no such header.
STOP = ("config.hpp", "stopped_by_the_error_above")

# Headers that may include more than the standard library, and what.
GPU = r"(cuda|thrust|cub|nv)/.*|cuda.*\.h|vector_types\.h"
OUTSIDE = {
    "comm/mpi.hpp": r"mpi\.h",
    "comm/mpi_channel.hpp": r"mpi\.h",
}
OUTSIDE |= {f"comm/detail/mpi_{part}.hpp": r"mpi\.h"
            for part in ("lane", "notices", "process", "requests", "roll_call")}
NCCL = ["nccl.hpp", "nccl_channel.hpp", "nccl_group.hpp", "nccl_id.hpp", "nccl_registration.hpp",
        "nccl_set.hpp"]
NCCL += [f"detail/nccl_{part}.hpp" for part in ("abort", "calls", "channel_core", "device", "handle",
                                                "host_copies", "ticket")]
OUTSIDE |= {f"comm/{header}": r"nccl\.h|cuda_runtime(_api)?\.h|vector_types\.h" for header in NCCL}
STANDARD = r"[a-z_0-9]+"  # the headers of the C++ standard library have neither / nor .
INSIDE = ("detail", "impl")  # folders of a module closed to other modules

# The members of a family, who may name them (its list, and the header with its default), and
# whether others may, who ask for a member and do not ask what a member is.
SCHEDULE = re.compile(r"pipeline/schedules/")
SCHEDULE_LISTS = ["pipeline/schedules.hpp", "pipeline/schedule.hpp"]
OBJECTIVE = re.compile(r"planner/(impl/)?objectives/|planner/objectives\.hpp")
SEARCHES = re.compile(r"planner/(detail/|impl/search_partitions)")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]*)>|"([^"]*)"|(.*))')
PUBLIC_NAMESPACE = re.compile(r"^namespace omnibal::inline v\d+(?!::detail)\b", re.M)
ANY_NAMESPACE = re.compile(r"^namespace omnibal::inline v\d+", re.M)


def module_of(header):
    """The module of a header or of an umbrella; '' for the other headers at the root."""
    if "/" in header:
        return header.split("/")[0]
    stem = header.rsplit(".", 1)[0]
    return stem if stem in MODULES else ""


def is_umbrella(header):
    return "/" not in header and module_of(header) != ""


def is_inside(header):
    return any(part in INSIDE for part in header.split("/")[1:-1])


def is_public(header):
    """Whether an umbrella must offer the header."""
    return "/" in header and header.endswith(".hpp") and not is_inside(header)


def fault_of_inner(header, target):
    """Why `header` may not include the header `target` of the library, or None."""
    module, wanted = module_of(header), module_of(target)
    if target in EVERYWHERE or (header, target) == STOP:
        return None
    if header == EVERYTHING:
        return None if is_umbrella(target) and wanted != "gpu" else "omnibal.hpp includes umbrellas alone"
    if is_umbrella(header):
        ours = wanted == module and is_public(target) and target not in OUTSIDE
        return None if ours else "an umbrella includes the public headers of its module alone"
    if module == "":
        return "only omnibal.hpp and the umbrellas look into modules"
    if "/" not in target:
        return "a header includes what it uses, not a whole module"
    if target in OUTSIDE and OUTSIDE.get(header) != OUTSIDE[target]:
        return "only its user includes a header that needs a dependency"
    if SCHEDULE.match(target) and not (SCHEDULE.match(header) or header in SCHEDULE_LISTS):
        return "algorithms know no schedule by name: take any_schedule and its capabilities"
    if OBJECTIVE.match(target) and SEARCHES.match(header):
        return "searches know no objective by name: take any_objective"
    if wanted != module and wanted not in MODULES[module]:
        return f"{module} may include {', '.join(MODULES[module]) or 'no other module'}"
    if wanted != module and is_inside(target):
        return f"nobody outside {wanted} looks into its {target.split('/')[1]}/"
    return None


def fault_of_outer(header, target):
    """Why `header` may not include `target`, which is not of the library, or None."""
    allowed = GPU if module_of(header) == "gpu" else OUTSIDE.get(header, r"(?!)")
    if re.fullmatch(STANDARD, target) or re.fullmatch(allowed, target):
        return None
    return "host headers include the standard library and each other, nothing else"


def includes_of(path):
    """Line number, name between < > or None, and the rest, of every include of a file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1], match[2] or line.strip()


def check(directory, users=()):
    """The faults of the headers under directory/omnibal and of programs that use them, one line
    each, and how many files were read."""
    root = pathlib.Path(directory) / "omnibal"
    headers = sorted(p for p in root.rglob("*") if p.suffix in (".hpp", ".cuh", ".ipp", ".cpp"))
    includes, faults = {}, []
    for path in headers:
        header = path.relative_to(root).as_posix()
        includes[header] = []
        if "/" in header and module_of(header) not in MODULES:
            faults.append(f"{header}: there is no module {module_of(header)}")
            continue
        faults += faults_of_namespace(header, path.read_text(encoding="utf-8"))
        for number, angled, other in includes_of(path):
            if angled is None:
                name, why = other, "includes are written <omnibal/module/header.hpp>"
            elif angled.startswith("omnibal/"):
                name = angled.removeprefix("omnibal/")
                includes[header].append(name)
                why = fault_of_inner(header, name)
            else:
                name, why = angled, fault_of_outer(header, angled)
            if why:
                faults.append(f"{header}:{number}: includes {name}: {why}")
    faults += circles(includes)
    faults += [fault for header in includes for fault in forgotten(header, includes)]
    programs = [p for user in users for p in sorted(pathlib.Path(user).rglob("*"))
                if p.suffix in (".hpp", ".cpp", ".cuh", ".cu")]
    faults += [fault for path in programs for fault in faults_of_user(path)]
    return faults, len(headers) + len(programs)


def faults_of_namespace(header, text):
    """A public header offers something; what is in detail/ is in namespace detail."""
    if is_public(header) and ANY_NAMESPACE.search(text) and not PUBLIC_NAMESPACE.search(text):
        yield f"{header}: holds only namespace detail: it belongs into detail/"
    if header.endswith(".hpp") and is_inside(header) and PUBLIC_NAMESPACE.search(text):
        yield f"{header}: offers names outside namespace detail"


def faults_of_user(path):
    for number, angled, _ in includes_of(path):
        name = (angled or "").removeprefix("omnibal/")
        if angled != name and is_inside(name):
            yield f"{path}:{number}: includes {name}: programs use public headers"


def circles(includes):
    """Headers that reach themselves; an include guard would hide it. A body in impl/ may include
    the header that includes it."""
    faults, done = [], set()

    def visit(header, path):
        if header in path:
            faults.append("circle: " + " -> ".join(path[path.index(header) :] + [header]))
        elif header not in done:
            for target in includes.get(header, []):
                if not (target.endswith(".ipp") and "/impl/" in target):
                    visit(target, path + [header])
            done.add(header)

    for header in includes:
        visit(header, [])
    return faults


def forgotten(header, includes):
    """What an umbrella does not include but should."""
    if header == EVERYTHING:
        wanted = [h for h in includes if is_umbrella(h) and module_of(h) != "gpu"]
        wanted += [m + ".hpp" for m in {module_of(h) for h in includes if is_public(h)}
                   if m != "gpu" and m + ".hpp" not in includes]
    elif is_umbrella(header):
        wanted = [h for h in includes
                  if is_public(h) and module_of(h) == module_of(header) and h not in OUTSIDE]
    else:
        wanted = []
    return [f"{header}: does not include {h}" for h in wanted if h not in includes[header]]


# What the self-test plants: a header, a line in it, and a part of the fault expected (None: none).
PLANTED = [
    ("core/a.hpp", "#include <vector>", None),
    ("core/a.hpp", "#include <omnibal/config.hpp>", None),
    ("config.hpp", "#include <omnibal/stopped_by_the_error_above>", None),
    ("pipeline/schedules.hpp", "#include <omnibal/pipeline/schedules/gpipe.hpp>", None),
    ("planner/a.hpp", "#include <omnibal/pipeline/schedules/gpipe.hpp>", "no schedule by name"),
    ("planner/detail/a.hpp", "#include <omnibal/planner/objectives/period.hpp>",
     "no objective by name"),
    ("baselines/a.hpp", "#include <omnibal/planner/objectives/period.hpp>", None),
    ("core/a.hpp", "#include <omnibal/stopped_by_the_error_above>", "not a whole module"),
    ("dispatch/a.hpp", "#include <omnibal/packing/isf.hpp>", None),
    ("packing/a.hpp", "#include <omnibal/packing/detail/b.hpp>", None),
    ("packing/a.hpp", "#include <omnibal/packing/impl/a.ipp>", None),
    ("packing/detail/a.hpp", "namespace omnibal::inline v0::detail {", None),
    ("packing/a.hpp", "namespace omnibal::inline v0 {", None),
    ("comm/mpi.hpp", "#include <mpi.h>", None),
    ("gpu/a.cuh", "#include <cub/device/device_scan.cuh>", None),
    ("omnibal.hpp", "#include <omnibal/planner.hpp>", None),
    ("planner.hpp", "#include <omnibal/planner/plan.hpp>", None),
    ("core/a.hpp", "#include <omnibal/packing/isf.hpp>", "core may include no other module"),
    ("packing/a.hpp", "  #  include <omnibal/dispatch/a.hpp>", "packing may include core"),
    ("pipeline/a.hpp", "#include <omnibal/cost/a.hpp>", "pipeline may include core"),
    ("partition/a.hpp", "#include <omnibal/recompute/a.hpp>", "partition may include"),
    ("cost/a.hpp", "#include <omnibal/planner/a.hpp>", "cost may include"),
    ("planner/a.hpp", "#include <omnibal/baselines/a.hpp>", "planner may include"),
    ("planner/impl/a.ipp", "#include <omnibal/baselines/a.hpp>", "planner may include"),
    ("run/a.hpp", "#include <omnibal/comm/a.hpp>", "run may include"),
    ("comm/a.hpp", "#include <omnibal/packing/a.hpp>", "comm may include core, rebalance"),
    ("run/a.hpp", "#include <omnibal/planner/detail/a.hpp>", "looks into its detail/"),
    ("run/impl/a.ipp", "#include <omnibal/planner/impl/a.ipp>", "looks into its impl/"),
    ("core/a.hpp", "#include <omnibal/omnibal.hpp>", "not a whole module"),
    ("dispatch/a.hpp", "#include <omnibal/packing.hpp>", "not a whole module"),
    ("packing.hpp", "#include <omnibal/packing/detail/b.hpp>", "public headers of its module"),
    ("packing.hpp", "#include <omnibal/core/b.hpp>", "public headers of its module"),
    ("packing.hpp", "#include <omnibal/packing/b.hpp>", "does not include packing/known.hpp"),
    ("packing/a.hpp", "namespace omnibal::inline v0::detail {", "belongs into detail/"),
    ("packing/detail/a.hpp", "namespace omnibal::inline v0 {", "outside namespace detail"),
    ("core/a.hpp", "#include <thrust/sort.h>", "nothing else"),
    ("core/a.hpp", "#include <cuda/std/span>", "nothing else"),
    ("packing/a.hpp", "#include <cub/cub.cuh>", "nothing else"),
    ("packing/a.hpp", "#include <unistd.h>", "nothing else"),
    ("comm/a.hpp", "#include <mpi.h>", "nothing else"),
    ("comm/a.hpp", "#include <omnibal/comm/mpi.hpp>", "needs a dependency"),
    ("core/a.hpp", '#include "error.hpp"', "written <omnibal/"),
    ("attic/a.hpp", "#include <vector>", "no module attic"),
    ("omnibal.hpp", "#include <omnibal/gpu/a.cuh>", "umbrellas alone"),
    ("omnibal.hpp", "#include <omnibal/core/a.hpp>", "umbrellas alone"),
    ("omnibal.hpp", "#include <vector>", "does not include core.hpp"),
    ("core/a.hpp", "#include <omnibal/core/a.hpp>", "circle"),
    ("../user/a.cpp", "#include <omnibal/core/detail/a.hpp>", "programs use public headers"),
    ("../user/a.cpp", "#include <omnibal/core/a.hpp>", None),
]


def self_test():
    wrong = []
    for header, line, expected in PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory) / "omnibal"
            plant(root / header, line)
            if expected and "known.hpp" in expected:
                plant(root / "packing" / "known.hpp", "")
            if expected and "core.hpp" in expected:
                plant(root / "core" / "known.hpp", "")
            faults, _ = check(directory, [pathlib.Path(directory) / "user"])
            found = expected is None and not faults or expected and any(expected in f for f in faults)
            if not found:
                wrong.append(f"{line} in {header}: expected {expected}, found {faults}")
    return wrong, len(PLANTED)


def plant(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n", encoding="utf-8")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    faults, count = self_test() if sys.argv[1] == "--self-test" else check(sys.argv[1], sys.argv[2:])
    for fault in faults:
        print(fault)
    print(f"{count} read, {len(faults)} faults")
    sys.exit(1 if faults or count == 0 else 0)


if __name__ == "__main__":
    main()
