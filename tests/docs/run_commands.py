#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a page, from examples/snippets, as somebody types them in a checkout.

usage: run_commands.py PATH-TO-OMNIBAL CHECKOUT SCRIPT
       run_commands.py PATH-TO-OMNIBAL CHECKOUT --demo ARGUMENT...

The commands of a script run in an empty folder with a copy of examples/data, with `omnibal` on the
PATH and a terminal for standard output. The second form runs what the target `demo` runs, and
compares it with README.md. A block of the page whose language is `output` must be among what they print.
"""
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import threading

from snippets import blocks_of, pages_of, regions_of


def run_on_terminal(arguments, **options):
    """The exit status and what was printed on a terminal."""
    ours, theirs = pty.openpty()
    printed = []

    def read():
        try:
            while chunk := os.read(ours, 65536):
                printed.append(chunk)
        except OSError:  # how Linux says that the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    status = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=theirs, **options).returncode
    os.close(theirs)
    reader.join()
    os.close(ours)
    return status, b"".join(printed).decode().replace("\r\n", "\n")


def run_script(command, checkout, script):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(checkout / "examples" / "data", pathlib.Path(folder, "examples", "data"))
        programs = pathlib.Path(folder, "bin")
        programs.mkdir()
        (programs / "omnibal").symlink_to(command)
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}",
                       "SNIPPETS": str(checkout / "examples" / "snippets")}
        return run_on_terminal(["bash", "-eu", str(script)], cwd=folder, env=environment)


def missing_outputs(blocks, printed):
    """The blocks that were not printed."""
    lines = "\n".join(line.rstrip() for line in ["", *printed.splitlines(), ""])
    return [block for block in blocks if f"\n{block.text}\n" not in lines]


def outputs_of(checkout, pages):
    texts = pages_of(checkout)
    return [block for page in pages for block in blocks_of(page, texts[page])[0] if block.language == "output"]


def main():
    command, checkout = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    if sys.argv[3] == "--demo":
        outputs = outputs_of(checkout, ["README.md"])[:1]
        status, printed = run_on_terminal([command, *sys.argv[4:]], cwd=checkout)
    else:
        script = pathlib.Path(sys.argv[3]).resolve()
        outputs = outputs_of(checkout, sorted({page for page, _, _ in regions_of(script)}))
        status, printed = run_script(command, checkout, script)
    print(printed)
    if status != 0:
        print(f"The commands end with status {status}.")
        return 1
    missing = missing_outputs(outputs, printed)
    for block in missing:
        print(f"{block}: the commands above do not print this:\n{block.text}\n")
    print(f"{len(outputs)} blocks of output, {len(missing)} not printed")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
