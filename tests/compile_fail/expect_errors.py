#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles mistakes and reads what the compiler says of them.

usage: expect_errors.py SOURCE COMPILER [FLAG...] | --self-test COMPILER

SOURCE holds right uses, which must compile, and within #ifdef OMNIBAL_MISTAKE wrong ones, each on a
line that ends in `// error: <regular expression>`. With OMNIBAL_MISTAKE defined every such line must
be named by an error that the expression matches, its notes included, and no other line by any. A
line `// mistake: <flag>` adds a flag to those of the wrong uses.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

MARK = re.compile(r"// error: (.*\S)\s*$")
FLAG = re.compile(r"^// mistake: (\S+)\s*$", re.M)
ERROR = re.compile(r"\S+:\d+(:\d+)?: (fatal )?error: ")
# Lines that g++ prints before the error they belong to.
BEFORE = re.compile(r"In file included from|\s+from |.*: In |.*:\s+(recursively )?required ")


def compiled(compiler, flags, source):
    """Exit status and messages of the compiler's front end."""
    done = subprocess.run([*compiler, "-std=c++20", *flags, "-fsyntax-only", str(source)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def errors_of(output):
    """The messages, one text for each error, with what leads to it and its notes."""
    errors, before = [], []
    # Compilers quote the line, and with it what is expected of them.
    for line in re.sub(r"// error: .*", "", output).splitlines():
        if ERROR.match(line):
            errors.append([*before, line])
            before = []
        elif BEFORE.match(line):
            before.append(line)
        elif errors:
            errors[-1] += [*before, line]
            before = []
    return ["\n".join(error) for error in errors]


def faults_of(source, compiler, flags):
    """What is wrong with the right and the wrong uses in a source."""
    text = source.read_text(encoding="utf-8")
    marks = {f"{source.name}:{number}:": match[1]
             for number, line in enumerate(text.splitlines(), 1) if (match := MARK.search(line))}
    status, output = compiled(compiler, flags, source)
    if status != 0:
        return [f"the right uses do not compile:\n{output}"]
    status, output = compiled(compiler, [*flags, "-DOMNIBAL_MISTAKE", *FLAG.findall(text)], source)
    # g++ ends the place in the list of includes by a comma where others follow.
    errors = [re.sub(rf"({re.escape(source.name)}:\d+)[,:]", r"\1:", e) for e in errors_of(output)]
    faults = [] if marks else ["there is no mistake in it"]
    for place, expected in marks.items():
        named = [error for error in errors if place in error]
        if not named:
            faults.append(f"{place} compiles")
        elif not any(re.search(expected, error, re.S) for error in named):
            faults.append(f"{place} does not say '{expected}' but:\n" + "\n".join(named))
    return faults + [f"an error of no mistake:\n{error}" for error in errors
                     if not any(place in error for place in marks)]


# What the self-test plants: a source, and a part of the fault expected (None: none).
ADD = "template <typename T> requires (sizeof(T) > 4) T add(T left, T right);\n"
PLANTED = [
    (ADD + "#ifdef OMNIBAL_MISTAKE\nauto a = add('a', 'b');  // error: sizeof\n#endif", None),
    ("#if __cplusplus < 202002L\nint a = b;  // error: b\n#endif\n// mistake: -std=c++17", None),
    (ADD + "#ifdef OMNIBAL_MISTAKE\nauto a = add(1L, 2L);  // error: sizeof\n#endif", ":3: compiles"),
    (ADD + "#ifdef OMNIBAL_MISTAKE\nauto a = add('a', 'b');  // error: signed\n#endif", "does not say"),
    (ADD + "#ifdef OMNIBAL_MISTAKE\nint a = b;  // error: b\nint c = d;\n#endif", "of no mistake"),
    (ADD + "auto a = add('a', 'b');  // error: sizeof", "the right uses do not compile"),
    (ADD, "there is no mistake"),
]


def self_test(compiler):
    wrong = []
    with tempfile.TemporaryDirectory() as directory:
        for k, (text, expected) in enumerate(PLANTED):
            source = pathlib.Path(directory) / f"planted_{k}.cpp"
            source.write_text(text + "\n", encoding="utf-8")
            faults = faults_of(source, compiler, [])
            found = any(expected in fault for fault in faults) if expected else not faults
            if not found:
                wrong.append(f"{text}\nexpected {expected}, found {faults}")
    return wrong


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        faults = self_test(sys.argv[2:])
    else:
        faults = faults_of(pathlib.Path(sys.argv[1]), sys.argv[2:3], sys.argv[3:])
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
