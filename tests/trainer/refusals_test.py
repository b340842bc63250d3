# SPDX-License-Identifier: Apache-2.0
"""What omnibal-trainer says to arguments and files that it cannot take, and to runs that fail: one line.

    python3 refusals_test.py build/test/examples/trainer/omnibal-trainer
"""
import os
import unittest

from trainer_runs import TrainerTest


class RefusalsTest(TrainerTest):
    def test_bad_tables_give_one_clear_line(self):
        missing = os.path.join(self.folder.name, "no table.csv")
        for line, text in [
                (r".*token_num\[1\] = 100: must be at least 256 for each of 1 tiles; --tile-tokens "
                 r"says how many a tile has", "vit_num,token_num\n1,300\n1,100\n"),
                (r".*vit_num\[0\] = 2000: must be at most 1024", "vit_num,token_num\n2000,900000\n"),
                (r".*token_num.*= 3000000: must be at most .*", "vit_num,token_num\n1,3000000\n"),
                (r".*token_num.*", "vit_num,token_num\n1,-3\n"),
                (r".*token_num.*", "vit_num,token_num\n1,many\n"),
                (r".*token_num.*", "vit_num,tokens\n1,300\n"),
                (r".*holds no samples", "vit_num,token_num\n"),
                (r".*is empty", ""),
        ]:
            with self.subTest(text=text):
                self.fails(2, line, "--lengths", self.table("bad.csv", text))
        self.fails(2, r".*no table.csv.*", "--lengths", missing)
        table = self.table("good.csv", "vit_num,token_num\n1,300\n")
        self.fails(2, r"--resource = images: is missing: give images=COLUMN and tokens=COLUMN",
                   "--lengths", table, "--resource", "tokens=token_num")
        self.fails(2, r"the output --out .* is the same file as the input --lengths .*",
                   "--lengths", table, "--out", table)

    # ---- failures ----

    def test_a_full_disk_is_said_after_the_result_of_the_run(self):
        for option in ["--out", "--trace", "--picture", "--report"]:
            with self.subTest(option=option):
                ended = self.start(option, "/dev/full", "--steps", "1")
                self.assertEqual(ended.returncode, 2)
                self.assertEqual(ended.stderr, "omnibal-trainer: /dev/full: cannot be written: No "
                                 "space left on device\n")
                self.assertRegex(ended.stdout, r"\Aplanned: loss .*\n\Z")

    def test_a_failure_names_rank_step_and_item(self):
        ended = self.start("--learning-rate", "1e30")
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r"\Aomnibal-trainer: rank [01], step \d+, step of stage "
                         r"[01]: norm of the gradients = -?(nan|inf): must be finite\n\Z")

    def test_bad_arguments_give_one_clear_line(self):
        missing = os.path.join(self.folder.name, "missing")
        text = os.path.join(self.folder.name, "text")
        with open(text, "w") as file:
            file.write("no JSON")
        for line, arguments in [
                (r"--size: huge not in \{tiny,small,1b\}", ["--size", "huge"]),
                (r"--schedule: 2f2b not in \{.*\}", ["--schedule", "2f2b"]),
                (r"--pp: .*0.*", ["--pp", "0"]),
                (r"--steps: .*-3.*", ["--steps", "-3"]),
                (r"--memory = lots: must be bytes like 1024, .*", ["--memory", "lots"]),
                (r"--memory = 99999999999999999999: must be .*",
                 ["--memory", "99999999999999999999"]),
                (r"--memory = 0: must be .*", ["--memory", "0"]),
                (r".*--nonsense.*", ["--nonsense"]),
                (r"--precision: f16 not in \{f32,bf16\}", ["--precision", "f16"]),
                (r"--steps: Value 0 not in range 1 to 1000000000", ["--steps", "0"]),
                (r"--seed: Value -1 not in range 0 to 1000000000", ["--seed", "-1"]),
                (r"--learning-rate: must be a positive number, not 0",
                 ["--learning-rate", "0"]),
                (r"--learning-rate: must be a positive number, not nan",
                 ["--learning-rate", "nan"]),
                (r"--deadline: must be a positive number, not nan", ["--deadline", "nan"]),
                (r"--tile-tokens requires --lengths", ["--tile-tokens", "5"]),
                (r"--resource requires --lengths", ["--resource", "images=a"]),
                (r"--checkpoint-every requires --checkpoint", ["--checkpoint-every", "5"]),
                (r"the output --checkpoint .*missing is the same file as the output --out .*",
                 ["--checkpoint", missing, "--out", missing]),
                (r"--ranks: gpus not in \{threads,mpi,nccl\}", ["--ranks", "gpus"]),
                (r"--ranks nccl: this program computes on the CPU; omnibal-trainer-cuda has GPUs",
                 ["--ranks", "nccl"]),
                (r"--attention cudnn: this program computes on the CPU; omnibal-trainer-cuda has "
                 r"GPUs", ["--attention", "cudnn"]),
                (r"--deadline: .*0.*", ["--deadline", "0"]),
                (r"--deadline: .*1e300.*", ["--deadline", "1e300"]),
                (r"--held-out: .*4294967295.*", ["--held-out", "4294967295"]),
                (r"--microbatches: .*99999999999.*", ["--microbatches", "99999999999"]),
                (r"--pp: .*99999999999.*", ["--pp", "99999999999"]),
                (r"--learning-rate: .*inf.*", ["--learning-rate", "inf"]),
                (r"--checkpoint .*text/runs: Not a directory",
                 ["--checkpoint", os.path.join(text, "runs")]),
                (r".*missing: has no checkpoint: No such file or directory", ["--resume", missing]),
                (r"--resume: is empty: give a name or leave the option out", ["--resume", ""]),
                (r"--checkpoint: is empty: .*", ["--checkpoint", ""]),
                (r"--out: is empty: .*", ["--out", ""]),
                (r".*missing/out.json: cannot be written: there is no folder .*missing",
                 ["--out", os.path.join(missing, "out.json")]),
                (r"--costs = .*text: is no JSON: remove it to measure again", ["--costs", text]),
                (r"--costs = /dev/null: is no JSON: remove it to measure again",
                 ["--costs", "/dev/null"]),
                (r"--costs = .*: cannot be read: Is a directory", ["--costs", self.folder.name]),
                (r"--costs = /proc/self/mem: cannot be read: Input/output error",
                 ["--costs", "/proc/self/mem"]),
                (r"--costs = .*: cannot be read: File name too long", ["--costs", "x" * 300]),
                (r"--baseline all: has no checkpoints, leave them out",
                 ["--baseline", "all", "--checkpoint", missing]),
                (r"virtual.* = 2: .*", ["--virtual-stages", "2"]),
        ]:
            with self.subTest(arguments=arguments):
                self.fails(2, line, *arguments)
        self.fails(3, r"no plan: the 8 samples of a step are too few packs for 9 replicas of 2 ranks "
                   r"under the schedule 1f1b: more --batch, more --microbatches or fewer --dp",
                   "--dp", "9")
        # Leading zeros make no octal number.
        self.fails(3, r"no plan fits 1000 bytes per rank: .*", "--memory", "0001000")
        self.fails(3, r"the model has 10 layers, fewer than stages: 12", "--pp", "12")


if __name__ == "__main__":
    unittest.main()
