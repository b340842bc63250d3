#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ranks over MPI of which one is killed (SIGKILL): every other one ends by itself, with an error that
says who did not come, at which operation.

usage: mpi_killed_test.py MPIEXEC PROGRAM    (the program is mpi_faults_test)

Only with --enable-recovery does Open MPI leave the survivors alive; mpiexec then returns 0 whatever they
return, so the exit of each is checked by itself. OMNIBAL_KILLS is the number of kills. Exits with 77 where MPI
is another one.
"""
import os
import random
import re
import subprocess
import sys

WATCHDOG = 120  # seconds; a survivor reports within a deadline of 0.2 seconds and a little
LINE = re.compile(r"rank (\d+), [a-z_]+.* #\d+: (.*); (\d+) ms after the call$", re.M)
EXIT = re.compile(r"^process (\d+) ended with (\d+)$", re.M)
SHELL = '"$0" "$@"; echo "process $OMPI_COMM_WORLD_RANK ended with $?"'


def run(mpiexec, program, ranks, killed, step):
    """What the processes print."""
    return subprocess.run(
        [mpiexec, "-n", str(ranks), "--enable-recovery", "sh", "-c", SHELL, program, "--kill",
         str(killed), str(step)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        timeout=WATCHDOG).stdout


def check(output, ranks, killed):
    """The time of the slowest report in milliseconds, and whether one of them names the killed rank."""
    exits = {int(rank): int(status) for rank, status in EXIT.findall(output)}
    assert exits == {r: 137 if r == killed else 3 for r in range(ranks)}, exits
    reports = {int(rank): (reason, int(waited)) for rank, reason, waited in LINE.findall(output)}
    assert set(reports) == set(range(ranks)) - {killed}, reports
    for reason, _ in reports.values():
        assert re.search(r"ranks? [\d, ]+ did not come within 200 ms", reason), reason
    lists = re.findall(r"ranks? (\d+(?:, \d+)*)", " ".join(reason for reason, _ in reports.values()))
    is_named = str(killed) in ", ".join(lists).split(", ")
    return max(waited for _, waited in reports.values()), is_named


def main():
    mpiexec, program = sys.argv[1:]
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True).stdout
    if "Open MPI" not in version and "OpenRTE" not in version:
        print("skipped: survivors of a killed rank need Open MPI's --enable-recovery")
        return 77
    chosen = random.Random(1)
    slowest = 0
    named = 0
    for _ in range(int(os.environ.get("OMNIBAL_KILLS", "5"))):
        ranks = chosen.randint(2, 4)
        killed = chosen.randrange(ranks)
        step = 2 * chosen.randrange(4)
        output = run(mpiexec, program, ranks, killed, step)
        try:
            waited, is_named = check(output, ranks, killed)
            slowest = max(slowest, waited)
            named += is_named
        except AssertionError:
            print(f"{ranks} ranks, rank {killed} killed at step {step}:\n{output}")
            raise
    # A survivor on a busy machine may be so slow that another one misses it first.
    assert named > 0, "no survivor ever named the killed rank"
    print(f"slowest report: {slowest} ms after the call, with deadlines of 200 ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
