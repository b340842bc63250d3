#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What layers compute on two machines is the same but for the order of sums.

usage: machines_agree_test.py LAYER_VALUES LAYER_VALUES_OF_ANOTHER_MACHINE

Each array may differ by 1e-5 of its length. Ends with 77 where the second machine is not there.
"""
import math
import subprocess
import sys

TOLERANCE = 1e-5


def values_of(program):
    run = subprocess.run([program], capture_output=True, text=True, timeout=600)
    if run.returncode == 77:
        print("skipped: there is no GPU")
        sys.exit(77)
    if run.returncode != 0:
        sys.exit(f"{program} ended with {run.returncode}: {run.stderr}")
    arrays = []
    for line in run.stdout.splitlines():
        name, numbers = line.split(":")
        arrays.append((name, [float(number) for number in numbers.split()]))
    return arrays


def length(numbers):
    return math.sqrt(sum(number * number for number in numbers))


def difference(found, expected):
    """Relative to the length of the second; infinite where numbers are not finite."""
    apart = length([a - b for a, b in zip(found, expected)])
    if not math.isfinite(apart):
        return math.inf
    return apart / length(expected) if apart > 0 else 0.0


def main():
    expected, found = values_of(sys.argv[1]), values_of(sys.argv[2])
    if [(name, len(v)) for name, v in expected] != [(name, len(v)) for name, v in found]:
        sys.exit("the machines print other arrays")
    if not any(length(v) > 0 for name, v in expected if "gradient" in name):
        sys.exit("there are no gradients")
    worst, where = max((difference(f, e), name) for (name, e), (_, f) in zip(expected, found))
    print(f"{len(expected)} arrays, largest difference {worst:.2g}: {where}")
    sys.exit(0 if worst < TOLERANCE else 1)


if __name__ == "__main__":
    main()
