# SPDX-License-Identifier: Apache-2.0
"""Golden answers: what the command says to the problems of cases.py, compared with a record.

    golden.py PATH-TO-OMNIBAL [SUB-COMMAND...]             compares, exit status 1 where any differs
    golden.py --record PATH-TO-OMNIBAL [SUB-COMMAND...]    writes the record again

The record is one file per sub-command, SUB-COMMAND.json beside this script. It holds reports whole
but for what may differ from run to run (seconds spent, version), messages of bad input word for
word, and a digest of every file that was written. Floating-point numbers have six digits: the last
ones belong to the compiler.

The rule: answers change on purpose or not at all. A commit that changes a golden answer records it
again and names the change in its message.
"""
import argparse
import contextlib
import difflib
import hashlib
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile

import cases

HERE = os.path.dirname(os.path.abspath(__file__))
NOISE = ("seconds", "version")  # Keys of reports and files whose values belong to one run.
DIFFERENCES_SHOWN = 12  # of each case
WIDTH = 110


# ---- what is kept of an answer ------------------------------------------------------------------

def rounded(number):
    return 0.0 if abs(number) < 1e-9 else float(f"{number:.6g}")


def lasting(value):
    """A JSON value without what belongs to one run."""
    if isinstance(value, dict):
        return {key: lasting(one) for key, one in value.items() if key not in NOISE}
    if isinstance(value, list):
        return [lasting(one) for one in value]
    return rounded(value) if isinstance(value, float) else value


def lasting_text(text, version):
    """Text without the version and the lines that tell the seconds spent."""
    text = re.sub(rf"\b{re.escape(version)}\b", "VERSION", text)
    return [line for line in text.splitlines() if not line.startswith("seconds")]


def digest(name, content, version):
    """SHA-256 of what lasts of a file."""
    if name.endswith(".json"):
        with contextlib.suppress(ValueError):
            content = json.dumps(lasting(json.loads(content))).encode()
    elif name.endswith((".html", ".svg")):
        content = "\n".join(lasting_text(content.decode(), version)).encode()
    return hashlib.sha256(content).hexdigest()


# ---- running cases ------------------------------------------------------------------------------

def read_files(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


class Command:
    """The command under test, with the inputs that it makes for its own cases."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.version = subprocess.run([self.path, "--version"], capture_output=True, text=True,
                                      check=True).stdout.split()[1]
        self.inputs = {name: content if isinstance(content, bytes) else json.dumps(content).encode()
                       for name, content in cases.inputs().items()}
        for name, words in cases.generated().items():
            with self.folder(words) as folder:
                subprocess.run([self.path, *shlex.split(words), "--out", name], cwd=folder,
                               capture_output=True, check=True)
                self.inputs[name] = read_files(folder)[name]

    @contextlib.contextmanager
    def folder(self, words):
        """A folder of its own with the inputs that the words name."""
        with tempfile.TemporaryDirectory() as folder:
            for name in self.inputs.keys() & set(re.split(r"[\s#]+", words)):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(self.inputs[name])
            yield folder

    def answer(self, words, folder):
        """What is recorded of one run."""
        before = read_files(folder)
        done = subprocess.run([self.path, *shlex.split(words)], cwd=folder, capture_output=True,
                              text=True, timeout=300)
        answer = {"command": words, "status": done.returncode}
        if done.stderr:
            answer["message"] = done.stderr.splitlines()
        if done.stdout and "--format text" in words:
            answer["text"] = lasting_text(done.stdout, self.version)
        elif done.stdout:
            answer["report"] = lasting(json.loads(done.stdout))
        written = {name: digest(name, content, self.version)
                   for name, content in read_files(folder).items() if before.get(name) != content}
        if written:
            answer["files"] = written
        return answer

    def answers(self, runs):
        """The runs of a case follow each other in one folder."""
        with self.folder(" ".join(runs)) as folder:
            return [self.answer(words, folder) for words in runs]


# ---- comparing ----------------------------------------------------------------------------------

def same(recorded, found):
    if isinstance(recorded, float) and isinstance(found, float):
        # What lies at the edge between two roundings may fall to either side.
        return math.isclose(recorded, found, rel_tol=1.1e-5, abs_tol=1e-9)
    return type(recorded) is type(found) and recorded == found


def is_text(value):
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def lines_differ(recorded, found, path):
    for line in difflib.unified_diff(recorded, found, lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield f"{path}: {line[0]} {line[1:]}"


def short(value):
    text = json.dumps(value)
    return text if len(text) <= WIDTH else text[:WIDTH - 4] + " ..."


def children(value):
    return dict(enumerate(value)) if isinstance(value, list) else value


def differences(recorded, found, path=""):
    """Lines that name each place where two answers differ."""
    both = type(recorded) is type(found)
    if recorded != found and both and is_text(recorded) and is_text(found):
        yield from lines_differ(recorded, found, path)
    elif both and isinstance(recorded, (dict, list)):
        old, new = children(recorded), children(found)
        for key in {**old, **new}:
            place = f"{path}[{key}]" if isinstance(recorded, list) else f"{path}.{key}"
            if key not in new:
                yield f"{place}: {short(old[key])} is gone"
            elif key not in old:
                yield f"{place}: {short(new[key])} is new"
            else:
                yield from differences(old[key], new[key], place)
    elif not same(recorded, found):
        yield f"{path}: was {short(recorded)}, is {short(found)}"


def compare(sub_command, recorded, found):
    """Tells what differs; returns in how many cases."""
    wrong = 0
    for name in {**recorded, **found}:
        lines = list(differences(recorded.get(name, []), found.get(name, [])))
        if not lines:
            continue
        wrong += 1
        print(f"{sub_command}: {name}")
        for line in lines[:DIFFERENCES_SHOWN]:
            print(f"  {line}")
        if len(lines) > DIFFERENCES_SHOWN:
            print(f"  and {len(lines) - DIFFERENCES_SHOWN} more")
    return wrong


# ---- the record ---------------------------------------------------------------------------------

def record_path(sub_command):
    return os.path.join(HERE, f"{sub_command}.json")


def pretty(value, indent=0):
    """JSON in which whatever fits a line is one, so that a changed figure is a changed line."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(flat) + indent <= WIDTH:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {pretty(one, indent + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(pad + row for row in rows) + "\n" + " " * indent + "}"
    rows = [pretty(one, indent + 1) for one in value]
    return "[\n" + ",\n".join(pad + row for row in rows) + "\n" + " " * indent + "]"


def read_record(sub_command):
    with open(record_path(sub_command), encoding="utf-8") as file:
        return json.load(file)


def write_record(sub_command, found):
    with open(record_path(sub_command), "w", encoding="utf-8") as file:
        file.write(pretty(found) + "\n")


def main():
    known = cases.cases()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the record again")
    parser.add_argument("command", help="path of omnibal")
    parser.add_argument("sub_commands", nargs="*", metavar="sub-command", help=", ".join(known))
    arguments = parser.parse_args()
    for sub_command in set(arguments.sub_commands) - set(known):
        parser.error(f"no cases of {sub_command}; there are those of {', '.join(known)}")
    command = Command(arguments.command)
    wrong = 0
    for sub_command in arguments.sub_commands or known:
        found = {name: command.answers(runs) for name, runs in known[sub_command].items()}
        if arguments.record:
            write_record(sub_command, found)
        else:
            wrong += compare(sub_command, read_record(sub_command), found)
    if wrong:
        sys.exit(f"{wrong} golden answers differ. If that is meant, record them again with\n"
                 f"  python3 {os.path.relpath(__file__)} --record {arguments.command}\n"
                 "and name the change in the commit's message.")


if __name__ == "__main__":
    main()
