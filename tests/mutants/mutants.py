# SPDX-License-Identifier: Apache-2.0
"""Runs the catalogue of mutants: with every fault in it, the test that it names must fail.

    mutants.py --check                         anchors, tests and promises alone; takes no compiler
    mutants.py --list
    mutants.py --run [--compiler g++] [--jobs 1] [NAME...]

--run copies include/ into a temporary folder, changes the copy, builds the named test header-only against
it and runs the named case. First every test is built and run without a fault, and has to pass. The exit
status is 1 when a mutant survives, when an anchor is gone, and when a mutant does not compile.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

from catalogue import PROMISES
from kernels import KERNELS

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join(ROOT, "docs", "reliability.md")
TIME_LIMIT = 600  # seconds of one case


def mutants():
    return [one for group in [*PROMISES.values(), *KERNELS.values()] for one in group]


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def source_of(test):
    """A test of kernels is a .cu, which the emulator runs."""
    return os.path.join("tests", test + ("_test.cu" if test.startswith("gpu/") else "_test.cpp"))


def test_source(mutant):
    return source_of(mutant.test)


def cases_of(source):
    """The names of the cases in a test's source."""
    names = re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', source)
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', name)) for name in names]


def faults_of(mutant):
    """What is wrong with an entry of the catalogue."""
    path = os.path.join("include", "omnibal", mutant.file)
    if not os.path.exists(os.path.join(ROOT, path)):
        yield f"{path} is gone"
    elif (count := read(path).count(mutant.anchor)) != 1:
        yield f"its anchor occurs {count} times in {path}"
    if mutant.fault == mutant.anchor:
        yield "it changes nothing"
    if not os.path.exists(os.path.join(ROOT, test_source(mutant))):
        yield f"{test_source(mutant)} is gone"
    elif mutant.case.rstrip("*") not in cases_of(read(test_source(mutant))):
        yield f'{test_source(mutant)} has no case "{mutant.case}"'


def check():
    found = [f'{one.name}: {fault}' for one in mutants() for fault in faults_of(one)]
    names = [one.name for one in mutants()]
    found += [f"{name}: occurs twice" for name in sorted({name for name in names if names.count(name) > 1})]
    page = read(PAGE)
    section = page[page.index("## The library"):] if "## The library" in page else ""
    promised = re.findall(r"^\| \*\*([^*]+)\*\*", section, re.M)
    found += [f'promise "{one}" of docs/reliability.md has no mutant' for one in promised if not PROMISES.get(one)]
    found += [f'promise "{one}" is not in docs/reliability.md' for one in PROMISES if one not in promised]
    return found


def catch_version():
    return 3 if os.path.exists("/usr/include/catch2/catch_all.hpp") else 2


class Builder:
    """Builds tests header-only against a folder of headers."""

    def __init__(self, compiler, folder):
        self.command = [compiler, "-std=c++20", "-O1", "-w", "-pthread", "-I", os.path.join(ROOT, "tests")]
        self.libraries = ["-lCatch2Main", "-lCatch2"]
        if catch_version() == 2:  # has its main() in the header
            source = os.path.join(folder, "main.cpp")
            with open(source, "w", encoding="utf-8") as file:
                file.write("#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n")
            self.libraries = [os.path.join(folder, "main.o")]
            subprocess.run([*self.command, "-c", source, "-o", self.libraries[0]], check=True)

    def build(self, include, source, program):
        """Returns what the compiler said where it failed."""
        emulator = ["-I", os.path.join(ROOT, "examples", "emulator", "include")] if source.endswith(".cu") else []
        command = [*self.command, "-I", include, *emulator, "-x", "c++", os.path.join(ROOT, source), "-x", "none",
                   "-o", program, *self.libraries]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stderr


def run(program, case):
    """Whether the case passes; a case that hangs or crashes does not."""
    try:
        # A comma separates cases.
        done = subprocess.run([program, case.replace(",", "\\,")], capture_output=True, text=True,
                              errors="replace", timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return False
    if "No test cases matched" in done.stdout:
        raise RuntimeError(f'no case matches "{case}"')
    return done.returncode == 0


def outcome_without_fault(builder, folder, test, cases):
    program = os.path.join(folder, test.replace("/", "_"))
    errors = builder.build(os.path.join(ROOT, "include"), source_of(test), program)
    if errors:
        return f"{test} does not compile:\n{errors}"
    failed = [case for case in cases if not run(program, case)]
    return f"{test} fails without a fault: {failed}" if failed else None


def outcome(builder, folder, mutant):
    """"killed", or what went wrong."""
    own = os.path.join(folder, re.sub("[^a-z0-9]", "_", mutant.name))
    include = os.path.join(own, "include")
    shutil.copytree(os.path.join(ROOT, "include"), include)
    path = os.path.join(include, "omnibal", mutant.file)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(mutant.anchor, mutant.fault))
    program = os.path.join(own, "test")
    errors = builder.build(include, test_source(mutant), program)
    result = "does not compile:\n" + errors if errors else "SURVIVES" if run(program, mutant.case) else "killed"
    shutil.rmtree(own)
    return result


def run_all(chosen, compiler, jobs):
    failures = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        builder = Builder(compiler, folder)
        tests = sorted({one.test for one in chosen})
        cases = {test: sorted({one.case for one in chosen if one.test == test}) for test in tests}
        for problem in pool.map(lambda test: outcome_without_fault(builder, folder, test, cases[test]), tests):
            if problem:
                sys.exit(problem)
        print(f"{len(tests)} tests pass without a fault", flush=True)
        for one, result in zip(chosen, pool.map(lambda one: outcome(builder, folder, one), chosen)):
            print(f"{one.name}: {result}", flush=True)
            failures += result != "killed"
    print(f"{len(chosen) - failures} of {len(chosen)} mutants killed")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--list", action="store_true")
    what.add_argument("--run", action="store_true")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants to run; all by default")
    given = parser.parse_args()
    if given.list:
        for promise, group in [*PROMISES.items(), *KERNELS.items()]:
            print(promise, *(f"  {one.name}" for one in group), sep="\n")
        return
    found = check()
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        sys.exit(1)
    if given.run:
        unknown = set(given.names) - {one.name for one in mutants()}
        if unknown:
            sys.exit(f"no such mutants: {', '.join(sorted(unknown))}")
        chosen = [one for one in mutants() if not given.names or one.name in given.names]
        sys.exit(1 if run_all(chosen, given.compiler, given.jobs) else 0)


if __name__ == "__main__":
    main()
