#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that includes Omnibal compiles without a warning whatever names it has of its own.

usage: check_names.py COMPILER INCLUDE-DIRECTORY PROGRAM.cpp

The program, which includes umbrellas, is compiled under the warnings that people use: under
`using namespace omnibal`, beside global variables of every name that the library uses within its
functions, and beside function templates that would take any call the library makes by such a name.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"]
WORD = re.compile(r"\b[a-z][a-z0-9_]*\b")
CALLED = re.compile(r"(?<![\w:.>])([a-z][a-z0-9_]*)\(")

VARIABLE = "extern int {};"
FUNCTION = "template <class... T> void {}(T&&...) = delete;"


def texts_of(directory):
    """The headers without comments, strings and directives."""
    for path in sorted(pathlib.Path(directory).rglob("*.[hi]pp")):
        text = re.sub(r'//.*|"(\\.|[^"\n])*"', "", path.read_text(encoding="utf-8"))
        yield re.sub(r"^\s*#.*(\\\n.*)*", "", text, flags=re.M)


class Compiler:
    def __init__(self, command, include, folder):
        self.command, self.include = command, include
        version = subprocess.run([command, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.all_errors = "-ferror-limit=0" if "clang" in version else "-fmax-errors=0"
        self.unit = pathlib.Path(folder, "unit.cpp")

    def errors(self, lines):
        """The lines of the unit at fault, and all that the compiler says."""
        self.unit.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run([self.command, "-std=c++20", "-fsyntax-only", f"-I{self.include}", self.all_errors,
                               *WARNINGS, self.unit], stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            return set(), ""
        return {int(n) for n in re.findall(rf"{re.escape(str(self.unit))}:(\d+):\d+: error", done.stderr)}, done.stderr

    def free(self, includes, names):
        """The names that are no keywords and that no system header has taken."""
        names = sorted(names)
        while at_fault := self.errors([*includes, *map(VARIABLE.format, names)])[0]:
            kept = [name for k, name in enumerate(names, len(includes) + 1) if k not in at_fault]
            if len(kept) == len(names):
                raise SystemExit("the headers alone do not compile")
            names = kept
        return names


def main():
    command, include, program = sys.argv[1:4]
    lines = pathlib.Path(program).read_text(encoding="utf-8").splitlines()
    last = max(k for k, line in enumerate(lines) if line.startswith("#include")) + 1
    includes, rest = lines[:last], lines[last:]
    own = set(WORD.findall("\n".join(rest))) | {"std", "omnibal", "main"}
    texts = list(texts_of(include))
    words = {word for text in texts for word in WORD.findall(text)} - own
    called = {name for text in texts for name in CALLED.findall(text)}
    with tempfile.TemporaryDirectory() as folder:
        compiler = Compiler(command, include, folder)
        names = compiler.free(includes, words)
        variables = [VARIABLE.format(name) for name in names]
        functions = [FUNCTION.format(name) for name in names if name in called]
        if len(variables) < 500 or len(functions) < 300:
            raise SystemExit(f"only {len(variables)} variables and {len(functions)} functions could be declared")
        for title, beside in (("under using namespace", ["using namespace omnibal;"]),
                              (f"beside {len(variables)} variables", variables),
                              (f"beside {len(functions)} function templates", functions)):
            _, said = compiler.errors([*includes, *beside, *rest])
            print(f"{program} {title}: {said or 'no warning'}")
            if said:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
