# SPDX-License-Identifier: Apache-2.0
"""Short runs of omnibal-trainer, as the tests of the program start them: the program is the last argument
of the test.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

TRAINER = sys.argv.pop()
# Few steps of small batches: what is compared are losses, not what was learned.
SHORT = {"--steps": "12", "--batch": "8", "--held-out": "16"}


def relative(first, second):
    return max(abs(a - b) / abs(b) for a, b in zip(first, second))


class TrainerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        # Measured once: the plans of all runs follow from the same costs.
        cls.costs = os.path.join(cls.folder.name, "costs.json")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def command(self, *arguments):
        options = {**SHORT, "--costs": self.costs}
        return [TRAINER, *arguments, *(word for option, value in options.items()
                                       if option not in arguments for word in (option, value))]

    def start(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120)

    def train(self, *arguments):
        """The result of a run that ends well."""
        out = os.path.join(self.folder.name, "result.json")
        ended = self.start("--out", out, *arguments)
        if ended.returncode != 0:
            raise AssertionError(f"{arguments}: {ended.returncode}, {ended.stderr}")
        with open(out) as file:
            return json.load(file)

    def expect_predicted_memory(self, result, least_of_plan=0.0, limit=None):
        """Bytes are those that were predicted, and never more than the plan has."""
        for rank in result["ranks"]:
            self.assertEqual(rank["peak_saved_bytes"], rank["predicted_peak_saved_bytes"])
            self.assertEqual(rank["peak_bytes"], rank["predicted_peak_bytes"])
            self.assertLessEqual(rank["peak_bytes"], rank["planned_peak_bytes"])
            self.assertGreaterEqual(rank["peak_bytes"], least_of_plan * rank["planned_peak_bytes"])
            if limit is not None:
                self.assertLessEqual(rank["planned_peak_bytes"], limit)

    def fails(self, status, line, *arguments):
        """Ends with the status and this one line."""
        ended = self.start(*arguments)
        self.assertEqual(ended.returncode, status, ended.stderr)
        self.assertRegex(ended.stderr, r"\Aomnibal-trainer: " + line + r"\n\Z")
        self.assertEqual(ended.stdout, "")

    def table(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w") as file:
            file.write(text)
        return path
