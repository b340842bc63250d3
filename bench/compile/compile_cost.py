#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What including a header costs: user seconds of the compiler's front end, the best of five, over
those of the common standard headers in the same run.

usage: compile_cost.py INCLUDE-DIRECTORY [HEADER[+HEADER...]...] [--compiler g++] [--rounds 5]

Without headers: omnibal.hpp, all umbrellas and run/plan_run.hpp. Each is measured header-only and
as a program compiles it that links omnibal::compiled.
"""
import argparse
import pathlib
import resource
import subprocess
import tempfile

STANDARD = """algorithm ranges vector string functional thread map set span optional variant numeric
random memory stop_token mutex condition_variable chrono""".split()
COMPILED = "-DOMNIBAL_SEPARATE_COMPILATION"


def user_seconds(compiler, source, flags):
    """Of one run of the front end, all its processes counted."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([compiler, "-std=c++20", "-O2", "-fsyntax-only", *flags, source], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("include")
    arguments.add_argument("headers", nargs="*")
    arguments.add_argument("--compiler", default="g++")
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    root = pathlib.Path(asked.include) / "omnibal"
    headers = asked.headers or ["omnibal.hpp", "run/plan_run.hpp", "packing.hpp+dispatch.hpp"] + sorted(
        p.name for p in root.glob("*.hpp")
        if p.name not in ("omnibal.hpp", "config.hpp", "version.hpp"))

    with tempfile.TemporaryDirectory() as folder:
        def unit(name, lines):
            path = pathlib.Path(folder) / (name.replace("/", "_") + ".cpp")
            path.write_text("".join(f"#include <{line}>\n" for line in lines), encoding="utf-8")
            return str(path)

        runs = {("standard headers", ""): (unit("standard", STANDARD), [])}
        for header in headers:
            source = unit(header, ["omnibal/" + part for part in header.split("+")])
            flags = ["-I", asked.include]
            runs[header, "header-only"] = (source, flags)
            runs[header, "compiled"] = (source, flags + [COMPILED])
        best = {key: min(user_seconds(asked.compiler, *run) for _ in range(asked.rounds))
                for key, run in runs.items()}

    standard = best["standard headers", ""]
    print(f"standard headers: {standard:.2f} user seconds with {asked.compiler}\n")
    print("| header | header-only | compiled mode |\n|---|---|---|")
    for header in headers:
        ratios = [best[header, mode] / standard for mode in ("header-only", "compiled")]
        print(f"| `{header.replace('+', '` with `')}` | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
