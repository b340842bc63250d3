#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what omnibal-indices prints for files of cases with the outputs in them.

usage: check_cases.py COMMAND [--emulated] [FILE...]

Without files: those of $OMNIBAL_SHARED/cases/device, or of ../shared/cases/device beside the checkout;
exits with 77, which ctest reads as skipped, where there are none, and where the command does. docs/device-indices.md says how outputs
compare.
"""
import json
import os
import pathlib
import subprocess
import sys

TOLERANCE = 2e-6
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def is_equal(name, found, expected):
    """Whether an output is the expected one; weights within the tolerance."""
    if isinstance(expected, list):
        return (isinstance(found, list) and len(found) == len(expected)
                and all(map(is_equal, [name] * len(found), found, expected)))
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and is_equal(key, found[key], value)
                                               for key, value in expected.items())
    if isinstance(expected, (int, float)) and name.startswith("weight"):
        allowed = TOLERANCE * (max(1, abs(expected)) if name.startswith("weight_sum") else 1)
        return isinstance(found, (int, float)) and abs(found - expected) <= allowed
    return type(found) is type(expected) and found == expected


def faults_of(command, path):
    """The number of outputs compared and a line for each that is wrong."""
    run = subprocess.run([*command, path], capture_output=True, text=True, timeout=60, check=False)
    if run.returncode == 77:
        print("skipped: the command has nothing to run on")
        sys.exit(77)
    if run.returncode not in (0, 2) or not run.stdout:  # 2: a case is malformed, the others answered
        return 0, [f"{path}: {run.stderr.strip()}"]
    given = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    answer = json.loads(run.stdout)
    if answer["operation"] != given["operation"] or len(answer["cases"]) != len(given["cases"]):
        return 0, [f"{path}: not answered case by case"]
    compared, faults = 0, []
    for case, found in zip(given["cases"], answer["cases"]):
        where = f"{given['operation']} {case['name']}"
        if found["name"] != case["name"]:
            faults.append(f"{where}: answered as {found['name']}")
        for name, expected in case["out"].items():
            compared += 1
            if name not in found["out"]:
                faults.append(f"{where}: no {name}, {found.get('error', 'and no error')}")
            elif not is_equal(name, found["out"][name], expected):
                faults.append(f"{where}: {name} is {found['out'][name]}, not {expected}")
        if case.get("refused") and "error" not in found:
            faults.append(f"{where}: not refused")
    return compared, faults


def main(command, files):
    if not files:
        shared = pathlib.Path(os.environ.get("OMNIBAL_SHARED", CHECKOUT / ".." / "shared"))
        files = sorted((shared / "cases" / "device").glob("*.json"))
        if not files:
            print(f"skipped: no cases/device in {shared}")
            return 77
    compared, faults = 0, []
    for path in files:
        count, wrong = faults_of(command, path)
        compared += count
        faults += wrong
    print("\n".join(fault[:400] for fault in faults))
    print(f"{compared} outputs of {len(files)} files compared, {len(faults)} wrong")
    return 1 if faults or compared == 0 else 0


if __name__ == "__main__":
    OPTIONS = [one for one in sys.argv[2:] if one == "--emulated"]
    sys.exit(main([sys.argv[1], *OPTIONS], sys.argv[2 + len(OPTIONS):]))
