# SPDX-License-Identifier: Apache-2.0
"""Runs the catalogue of mutants: with every fault in it, the test that it names must fail.

    mutants.py --check                         anchors, tests and promises alone; takes no compiler
    mutants.py --list
    mutants.py --run [--compiler g++] [--jobs 1] [NAME...]

--run copies include/ into a temporary folder, changes the copy, builds the named test header-only against
it and runs the named case. Programs of examples/ are built with CMake in a copy of the checkout, and a test
may be a Python one or a fault of tests/soak/soak.py. First every test is built and run without a fault, and
has to pass. The exit status is 1 when a mutant survives, when an anchor is gone, and when a mutant does not compile.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from catalogue import PROMISES
from kernels import KERNELS
from nccl import NCCL
from programs import PROGRAMS

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "soak"))
from soak import COMMAND_FAULTS  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "reliability.md")
TIME_LIMIT = 600  # seconds of one case
NCCL_TIME_LIMIT = 60  # the same; some faults are hangs


def mutants():
    groups = [*PROMISES.values(), *KERNELS.values(), *NCCL.values(), *PROGRAMS.values()]
    return [one for group in groups for one in group]


def is_of_program(mutant):
    return any(mutant in group for group in PROGRAMS.values())


def path_of(mutant):
    """The file with the fault, below the checkout."""
    return os.path.join("examples" if is_of_program(mutant) else os.path.join("include", "omnibal"), mutant.file)


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def source_of(test):
    """A test of kernels is a .cu, which the emulator runs."""
    names = [os.path.join("tests", test + ending) for ending in ("_test.cpp", "_test.cu", "_test.py", ".py")]
    return next((name for name in names if os.path.exists(os.path.join(ROOT, name))), names[0])


def test_source(mutant):
    return source_of(mutant.test)


def cases_of(source):
    """The names of the cases in a test, or of the checks of a program of checks."""
    if source == os.path.join("tests", "soak", "soak.py"):
        return [fault.name for fault in COMMAND_FAULTS]
    if source.endswith(".py"):
        methods = re.split(r"^class (\w+)", read(source), flags=re.M)
        return [f"{name}.{method}" for name, body in zip(methods[1::2], methods[2::2])
                for method in re.findall(r"^    def (test_\w+)", body, re.M)]
    source = read(source)
    if "collective_checks::status_of(" in source:
        return re.findall(r'\{"([^"]*)",', source[source.index("\nint main("):])
    names = re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', source)
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', name)) for name in names]


def faults_of(mutant):
    """What is wrong with an entry of the catalogue."""
    path = path_of(mutant)
    if not os.path.exists(os.path.join(ROOT, path)):
        yield f"{path} is gone"
    elif (count := read(path).count(mutant.anchor)) != 1:
        yield f"its anchor occurs {count} times in {path}"
    if mutant.fault == mutant.anchor:
        yield "it changes nothing"
    if not os.path.exists(os.path.join(ROOT, test_source(mutant))):
        yield f"{test_source(mutant)} is gone"
    elif mutant.case.rstrip("*") not in cases_of(test_source(mutant)):
        yield f'{test_source(mutant)} has no case "{mutant.case}"'


def check():
    found = [f'{one.name}: {fault}' for one in mutants() for fault in faults_of(one)]
    names = [one.name for one in mutants()]
    found += [f"{name}: occurs twice" for name in sorted({name for name in names if names.count(name) > 1})]
    page = read(PAGE)
    section = page[page.index("## The library"):] if "## The library" in page else ""
    known = [one for one, group in [*PROMISES.items(), *PROGRAMS.items()] if group]
    promised = re.findall(r"^\| \*\*([^*]+)\*\*", section, re.M)
    found += [f'promise "{one}" of docs/reliability.md has no mutant' for one in promised if one not in known]
    found += [f'promise "{one}" is not in docs/reliability.md' for one in known if one not in promised]
    return found


def catch_version():
    return 3 if os.path.exists("/usr/include/catch2/catch_all.hpp") else 2


def is_of_nccl(source):
    return source.startswith(os.path.join("tests", "comm", "nccl", ""))


def nccl_includes():
    """The folders of the headers of NCCL and the CUDA runtime, which need not be one; None where they are absent."""
    roots = [os.environ.get("NCCL_ROOT"), os.environ.get("CUDA_HOME"), *sorted(glob.glob("/usr/local/cuda*")), "/usr",
             "/usr/local"]
    folders = [os.path.join(root, "include") for root in roots if root]
    found = [next((one for one in folders if os.path.exists(os.path.join(one, header))), None)
             for header in ("nccl.h", "cuda_runtime_api.h")]
    return None if None in found else found


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
        others = [os.path.join(ROOT, "examples", "emulator", "include")] if source.endswith(".cu") else []
        if is_of_nccl(source):
            others = nccl_includes()
        libraries = [] if is_of_nccl(source) else self.libraries  # those have a main of their own
        command = [*self.command, "-I", include, *(word for one in others for word in ("-I", one)), "-x", "c++",
                   os.path.join(ROOT, source), "-x", "none", "-o", program, *libraries]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stderr


def run(words, folder=None, limit=TIME_LIMIT):
    """What a test prints, and its status: None at the limit of time, where all of its processes end."""
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        return process.communicate(timeout=limit)[0], process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0], None


def passes(program, case, limit=TIME_LIMIT):
    """Whether the case passes; a case that hangs or crashes does not."""
    output, status = run([program, case.replace(",", "\\,")], limit=limit)  # a comma separates cases
    if "No test cases matched" in output:
        raise RuntimeError(f'no case matches "{case}"')
    return status == 0


def limit_of(source):
    return NCCL_TIME_LIMIT if is_of_nccl(source) else TIME_LIMIT


def outcome_without_fault(builder, folder, test, cases):
    program = os.path.join(folder, test.replace("/", "_"))
    errors = builder.build(os.path.join(ROOT, "include"), source_of(test), program)
    if errors:
        return f"{test} does not compile:\n{errors}"
    failed = [case for case in cases if not passes(program, case, limit_of(source_of(test)))]
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
    source = test_source(mutant)
    errors = builder.build(include, source, program)
    survives = not errors and passes(program, mutant.case, limit_of(source))
    result = "does not compile:\n" + errors if errors else "SURVIVES" if survives else "killed"
    shutil.rmtree(own)
    return result


class ProgramBuilder:
    """Builds the programs of examples/ and their tests in a copy of the checkout."""

    def __init__(self, folder):
        self.tree = os.path.join(folder, "checkout")
        ignored = shutil.ignore_patterns("build", ".git")
        shutil.copytree(ROOT, self.tree, ignore=ignored, symlinks=True)
        self.call("cmake", "--preset", "test")

    def call(self, *words):
        done = subprocess.run(words, cwd=self.tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        return None if done.returncode == 0 else done.stdout[-3000:]

    def build(self, test):
        is_program = source_of(test).endswith(".py")
        target = "omnibal-cli" if is_program else test.replace("/", "_") + "_test"
        return self.call("cmake", "--build", "--preset", "test", "-j1", "--target", target)

    def passes(self, test, case):
        built = os.path.join(self.tree, "build", "test")
        source = source_of(test)
        if not source.endswith(".py"):
            return passes(os.path.join(built, "tests", test.replace("/", "_") + "_test"), case)
        command = os.path.join(built, "examples", "cli", "omnibal")
        how = ["--seconds", "60", "--fault", case, "--keep", os.path.join(self.tree, "loss")]
        words = [sys.executable, "-B", os.path.join(self.tree, source), command]
        return run([*words, *(how if test == "soak/soak" else [case])], self.tree)[1] == 0

    def outcome(self, mutant):
        """"killed", or what went wrong."""
        path = os.path.join(self.tree, path_of(mutant))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(mutant.anchor, mutant.fault))
        errors = self.build(mutant.test)
        passes = not errors and self.passes(mutant.test, mutant.case)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return "does not compile:\n" + errors if errors else "SURVIVES" if passes else "killed"


def run_programs(chosen):
    """Returns the number of mutants that are not killed."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        builder = ProgramBuilder(folder)
        for test, case in sorted({(one.test, one.case) for one in chosen}):
            if errors := builder.build(test):
                sys.exit(f"{test} does not compile:\n{errors}")
            if not builder.passes(test, case):
                sys.exit(f"{test} fails without a fault: {case}")
        print(f"tests of {len(chosen)} mutants of programs pass without a fault", flush=True)
        for one in chosen:
            result = builder.outcome(one)
            print(f"{one.name}: {result}", flush=True)
            failures += result != "killed"
    return failures


def run_headers(chosen, compiler, jobs):
    """Returns the number of mutants that are not killed."""
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
    return failures


def run_all(chosen, compiler, jobs):
    programs = [one for one in chosen if is_of_program(one)]
    headers = [one for one in chosen if not is_of_program(one)]
    if nccl_includes() is None:
        left_out = [one for one in headers if is_of_nccl(test_source(one))]
        headers = [one for one in headers if one not in left_out]
        chosen = [one for one in chosen if one not in left_out]
        if left_out:
            print(f"{len(left_out)} mutants are left out: there is no nccl.h below NCCL_ROOT, CUDA_HOME or /usr/local/cuda")
    failures = run_headers(headers, compiler, jobs) if headers else 0
    failures += run_programs(programs) if programs else 0
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
        for promise, group in [*PROMISES.items(), *KERNELS.items(), *NCCL.items(), *PROGRAMS.items()]:
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
