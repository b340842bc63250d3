# SPDX-License-Identifier: Apache-2.0
"""What all sub-commands share: help, errors, exit statuses, reports, outputs."""
import os
import pty
import re
import resource
import subprocess

from command import COMMAND, CommandTest, main, samples

COMMANDS = ["plan", "pack", "generate", "partition", "recompute", "rebalance", "simulate", "replay"]
CAPACITY = ["--capacity", "images=9,tokens=4096"]


class Words(CommandTest):
    def test_help_of_the_whole_names_every_command(self):
        done = self.call("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name in COMMANDS:
            self.assertRegex(done.stdout, rf"(?m)^  {name} ")

    def test_help_of_every_command(self):
        for name in COMMANDS:
            done = self.call(name, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertIn("--format", done.stdout)
            self.assertIn(f"Examples:\n  omnibal {name} --", done.stdout)

    def test_version(self):
        done = self.call("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\Aomnibal \d+\.\d+\.\d+\n\Z")

    def test_nothing_at_all(self):
        self.expect_failure(naming="no command given")

    def test_unknown_command(self):
        self.expect_failure("pakc", naming=["unknown command pakc", "did you mean pack?"])
        self.expect_failure("frobnicate", naming=["unknown command frobnicate", "--help"])

    def test_unknown_option_comes_before_what_it_leaves_missing(self):
        self.expect_failure("pack", "--sede", "3", naming=["unknown option --sede", "did you mean --seed?"])
        self.expect_failure("pack", "--lenghts=a.json", naming=["--lenghts", "did you mean --lengths?"])
        self.expect_failure("generate", "--frobnicate", naming=["unknown option --frobnicate", "--help"])

    def test_unknown_options_of_the_whole(self):
        self.expect_failure("--versoin", naming="--versoin")
        self.expect_failure("-q", naming="-q")

    def test_options_that_are_missing_or_come_twice(self):
        self.expect_failure("pack", *CAPACITY, naming="--lengths")
        self.expect_failure("pack", "--lengths", naming="--lengths")
        self.expect_failure("pack", "--lengths", "a.json", "--seed", "1", "--seed", "2", *CAPACITY, naming="--seed")
        self.expect_failure("generate", "--shape", "s.json", "--out", "a.json", naming="--samples")

    def test_stray_words(self):
        self.expect_failure("generate", "stray", "--samples", "3", "--shape", "a", "--out", "b.json", naming="stray")

    def test_format(self):
        table = self.write("a.json", samples((1, 300)))
        self.expect_failure("pack", "--lengths", table, *CAPACITY, "--format", "yaml", naming=["--format", "yaml", "json"])
        self.expect_failure("pack", "--lengths", table, *CAPACITY, "--format", "jsno", naming="did you mean json?")

    def test_names_of_files_cannot_break_the_line(self):
        self.expect_failure("pack", "--lengths", "a\nb\tc.json", *CAPACITY, naming="a\\x0ab\\x09c.json")
        self.expect_failure("pack", "--lengths", "é\udcff.json", *CAPACITY, naming="é\\xff.json")


class Reports(CommandTest):
    def setUp(self):
        super().setUp()
        self.table = self.write("a.json", samples((1, 300), (5, 1400)))
        self.arguments = ["pack", "--lengths", self.table, *CAPACITY]

    def on_terminal(self, *arguments):
        """Runs with standard output on a terminal and returns what it shows."""
        ours, theirs = pty.openpty()
        done = self.call(*arguments, stdout=theirs)
        os.close(theirs)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return shown

    def test_json_is_one_object_and_the_default_away_from_a_terminal(self):
        self.assertEqual(self.succeed(*self.arguments)["samples"], 2)
        done = self.call(*self.arguments)
        self.assertRegex(done.stdout, r"\A\{[^\n]*\}\n\Z")

    def test_text_is_the_default_on_a_terminal(self):
        self.assertRegex(self.on_terminal(*self.arguments), r"samples +2\r?\n")
        self.assertRegex(self.on_terminal(*self.arguments, "--format", "json"), r"\A\{")

    def test_text_says_what_json_says(self):
        report = self.succeed(*self.arguments)
        text = self.call(*self.arguments, "--format", "text").stdout
        shown = dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines())
        self.assertEqual(set(shown), {key.replace("_", " ") for key in report})
        self.assertEqual(shown["packs"], str(report["packs"]))

    def test_progress_is_shown_only_where_wanted(self):
        arguments = [*self.arguments, "--method", "isf"]
        self.assertEqual(self.call(*arguments).stderr, "")
        self.assertRegex(self.call(*arguments, "--progress").stderr, r"pack \d+/50\n")

    def test_progress_is_wiped_from_a_terminal(self):
        ours, theirs = pty.openpty()
        self.call(*self.arguments, "--method", "isf", stderr=theirs)
        os.close(theirs)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        self.assertRegex(shown, r"pack \d+/50")
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))


class Outputs(CommandTest):
    def setUp(self):
        super().setUp()
        self.table = self.write("a.json", samples((1, 300), (5, 1400)))
        self.arguments = ["pack", "--lengths", self.table, *CAPACITY]

    def test_folder_that_is_missing(self):
        self.expect_failure(*self.arguments, "--out", "none/p.json", naming="none/p.json", status=4)

    def test_folder_in_place_of_a_file(self):
        os.mkdir(self.path("p.json"))
        self.expect_failure(*self.arguments, "--out", "p.json", naming="p.json", status=4)

    def test_device_that_is_full(self):
        self.expect_failure(*self.arguments, "--out", "/dev/full", naming="/dev/full", status=4)

    def test_device_that_takes_all(self):
        self.succeed(*self.arguments, "--out", "/dev/null")

    def test_standard_output_that_is_full(self):
        with open("/dev/full", "w") as full:
            done = self.call(*self.arguments, stdout=full)
        self.assertEqual(done.returncode, 4)
        self.assertRegex(done.stderr, r"\Aomnibal: standard output: [^\n]+\n\Z")

    def test_standard_output_that_nobody_reads(self):
        ours, theirs = os.pipe()
        os.close(ours)
        done = self.call(*self.arguments, stdout=theirs)
        os.close(theirs)
        self.assertEqual(done.returncode, 4)

    def test_file_that_does_not_fit_leaves_the_old_one_whole(self):
        self.write("p.json", "old")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        done = self.call(*self.arguments, "--out", "p.json", preexec_fn=limit)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertRegex(done.stderr, r"\Aomnibal: p\.json: [^\n]+\n\Z")
        self.assertEqual(self.read("p.json"), b"old")
        self.assertEqual(self.files(), ["a.json", "p.json"])

    def test_old_file_is_replaced_and_nothing_is_left_beside_it(self):
        self.write("p.json", "old" * 10000)
        self.succeed(*self.arguments, "--out", "p.json")
        self.assertTrue(self.read("p.json").startswith(b'{"version"'))
        self.assertEqual(self.files(), ["a.json", "p.json"])

    def test_link_stays_a_link(self):
        self.write("real.json", "old")
        os.symlink("real.json", self.path("p.json"))
        self.succeed(*self.arguments, "--out", "p.json")
        self.assertTrue(os.path.islink(self.path("p.json")))
        self.assertTrue(self.read("real.json").startswith(b'{"version"'))

    def test_bad_input_leaves_the_old_file(self):
        self.write("p.json", "old")
        self.expect_failure("pack", "--lengths", self.write("b.json", "[{"), *CAPACITY, "--out", "p.json", naming="b.json")
        self.assertEqual(self.read("p.json"), b"old")


if __name__ == "__main__":
    main()
