#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every code block of README.md and docs/*.md is text that the tests compile or run.

usage: check_snippets.py CHECKOUT | --self-test

A block in one of CODE equals a region of a file in examples/snippets that is marked with its page. A
block of json may equal a whole file there. `output` is what commands of the page print
(run_commands.py compares), `text` is no code. A block that no test runs has a line before it that
says why: <!-- not run by tests: REASON -->, or <!-- NAME-command --> where continuous integration runs it.
"""
import difflib
import pathlib
import re
import sys
import tempfile

from snippets import blocks_of, pages_of, regions_of

CODE = ("cpp", "cmake", "sh", "python")
OTHER = ("json", "output", "text")
LEFT_OUT = re.compile(r"<!-- (not run by tests: .+|[a-z]+-command) -->")


def difference(block, text, path):
    return "".join("\n    " + line for line in difflib.unified_diff(
        text.splitlines(), block.text.splitlines(), path, str(block), lineterm=""))


def nearest(block, candidates):
    """What the block differs from, in words; candidates are (path, text)."""
    score = lambda one: difflib.SequenceMatcher(None, one[1], block.text).ratio()
    best = max(candidates, key=score, default=None)
    return difference(block, best[1], best[0]) if best and score(best) > 0.5 else ""


def check(checkout):
    """The faults, one text each, and how many blocks were looked at."""
    checkout = pathlib.Path(checkout)
    folder = checkout / "examples" / "snippets"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    regions = {}  # by page: the path, with its line, and the text
    for path in files:
        for page, line, text in regions_of(path):
            where = f"{path.relative_to(checkout).as_posix()}:{line}"
            regions.setdefault(page, []).append((where, text))
    whole = [(path.relative_to(checkout).as_posix(), path.read_text(encoding="utf-8").rstrip("\n"))
             for path in files if path.suffix == ".json"]
    faults, count, used = [], 0, set()
    for page, text in pages_of(checkout).items():
        blocks, indented = blocks_of(page, text)
        faults += [f"{page}:{line}: a code block is fenced with ``` and its language" for line in indented]
        for block in blocks:
            count += 1
            candidates = regions.get(page, []) + (whole if block.language == "json" else [])
            equal = [path for path, text in candidates if text == block.text]
            used.update(equal)
            if block.language not in CODE + OTHER:
                faults.append(f"{block}: the language '{block.language}' is none of {', '.join(CODE + OTHER)}")
            elif block.language in CODE + ("json",) and not equal and not LEFT_OUT.fullmatch(block.before):
                faults.append(f"{block}: no test compiles or runs this block: it equals no file in "
                              f"examples/snippets{nearest(block, candidates)}")
    for page, marked in regions.items():
        faults += [f"{where}: {page} does not show this region" for where, _ in marked if where not in used]
    return faults, count


PAGE = "# Title\n\n```cpp\nint a;\n```\n\n<!-- not run by tests: takes hours -->\n```sh\nbench\n```\n"
GOOD = {"README.md": PAGE, "examples/snippets/a.cpp": "  // >>> README.md\n  int a;\n  // <<<\n"}
PLANTED = [  # what is written over GOOD, and a part of a fault expected, or None for no fault
    ({}, None),
    ({"README.md": PAGE.replace("int a;", "int b;")}, "no test compiles or runs this block"),
    ({"README.md": PAGE.replace("takes hours", "").replace("<!-- not run by tests:  -->", "")}, "README.md:8"),
    ({"README.md": PAGE + "```\nint a;\n```\n"}, "the language ''"),
    ({"README.md": PAGE + "\n    int a;\n"}, "fenced"),
    ({"docs/b.md": PAGE}, "docs/b.md:3"),
    ({"examples/snippets/b.cpp": "// >>> README.md\nint c;\n// <<<\n"}, "does not show this region"),
    ({"docs/b.md": "```json\n{}\n```\n", "examples/snippets/b.json": "{}\n"}, None),
    ({"docs/b.md": "```json\n[]\n```\n", "examples/snippets/b.json": "{}\n"}, "docs/b.md:1"),
]


def self_test():
    for planted, expected in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**GOOD, **planted}.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            faults, _ = check(folder)
        if bool(faults) != bool(expected) or (expected and not any(expected in f for f in faults)):
            raise SystemExit(f"{planted} gave {faults} in place of {expected}")
    return len(PLANTED)


def main():
    if sys.argv[1:] == ["--self-test"]:
        print(f"{self_test()} planted pages checked rightly")
        return 0
    faults, count = check(sys.argv[1])
    print("\n".join([*faults, f"{count} blocks, {len(faults)} faults"]))
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
