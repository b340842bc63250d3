# SPDX-License-Identifier: Apache-2.0
"""Runs the command for the tests beside this file, each of which is called with its path."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMMAND = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None
# Sanitizers reserve far more addresses than they use, and take their time.
SANITIZED = COMMAND is not None and b"__asan_init" in pathlib.Path(COMMAND).read_bytes()
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(CHECKOUT, "examples", "data")


class CommandTest(unittest.TestCase):
    """Every test has an empty folder, self.folder, to itself; the command runs in it."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        """Writes a file of text, of bytes, or of a value as JSON. Returns its name."""
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        with open(self.path(name), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def files(self):
        return sorted(os.listdir(self.folder))

    def call(self, *arguments, **options):
        return subprocess.run([COMMAND, *map(str, arguments)], cwd=self.folder, text=True,
                              **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                 "timeout": 120, **options})

    def succeed(self, *arguments, status=0):
        """Returns the report."""
        done = self.call(*arguments, "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (status, ""))
        return json.loads(done.stdout)

    def expect_failure(self, *arguments, naming, status=2):
        """Expects one line on standard error with all these words, and nothing else to happen."""
        before = {name: self.read(name) for name in self.files() if os.path.isfile(self.path(name))}
        done = self.call(*arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Aomnibal: [^\n]+\n\Z")
        for word in [naming] if isinstance(naming, str) else naming:
            self.assertIn(word, done.stderr)
        after = {name: self.read(name) for name in self.files() if os.path.isfile(self.path(name))}
        self.assertEqual(after, before)


def samples(*rows):
    """Rows of images and tokens in the format of the OmniBal paper's code."""
    return [{"vit_num": images, "token_num": tokens} for images, tokens in rows]


def main():
    if COMMAND is None:
        sys.exit("usage: <name>_test.py PATH-TO-OMNIBAL")
    unittest.main()
