# SPDX-License-Identifier: Apache-2.0
"""What omnibal-trainer does as a program: runs that agree however they are cut, killed and resumed
runs, budgets of memory, what it writes. learning_test.py shows that it learns,
refusals_test.py what it says to bad arguments and files.

    python3 omnibal_trainer_test.py build/test/examples/trainer/omnibal-trainer
"""
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import unittest

from trainer_runs import TrainerTest, relative


class OmnibalTrainerTest(TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_rank = cls("command").train("--pp", "1")

    # ---- the same losses ----

    def test_every_schedule_and_cut_has_the_losses_of_one_rank_to_the_bit(self):
        for schedule in ["gpipe", "1f1b", "interleaved", "zbh1", "zbv"]:
            for stages in ["2", "3"]:
                with self.subTest(schedule=schedule, stages=stages):
                    # The micro-batches of one rank.
                    result = self.train("--schedule", schedule, "--pp", stages,
                                        "--microbatches", "4")
                    self.assertEqual(result["loss"], self.one_rank["loss"])
                    self.assertEqual(result["schedule"], schedule)
                    self.assertEqual(len(result["ranks"]), int(stages))
                    self.expect_predicted_memory(result, least_of_plan=0.97)

    def test_replicas_and_other_packs_change_the_order_of_sums_alone(self):
        for arguments in [["--dp", "2", "--pp", "1"], ["--dp", "2", "--pp", "2"],
                          ["--dp", "3", "--pp", "1", "--microbatches", "1"],
                          ["--pp", "1", "--microbatches", "1"]]:
            with self.subTest(arguments=arguments):
                result = self.train(*arguments)
                self.assertLess(relative(result["loss"], self.one_rank["loss"]), 2e-5)
                self.assertNotEqual(result["planned"], self.one_rank["planned"])

    def test_all_strategies_learn_the_same(self):
        result = self.train("--baseline", "all")
        self.assertEqual([each["strategy"] for each in result["strategies"]],
                         ["naive", "unbalanced", "paper", "planned"])
        naive, unbalanced, paper, planned = result["strategies"]
        for each in result["strategies"]:
            self.assertLess(relative(each["loss"], planned["loss"]), 2e-5)
            self.assertGreater(each["to_loss"]["steps"], 0)
            self.assertGreater(each["predicted_seconds"], 0)
        self.assertEqual(result["loss"], planned["loss"])
        self.assertGreater(naive["pad_ratio"], 0)
        self.assertEqual(planned["pad_ratio"], 0)
        for each in [naive, unbalanced]:
            self.assertEqual({layer["mode"] for stage in each["stages"] for layer in stage["layers"]
                              if layer["name"].startswith("language")}, {"full"})
        # The tower, the projector, the embedding and half of the four language layers.
        self.assertEqual([len(stage["layers"]) for stage in naive["stages"]], [7, 3])
        self.assertEqual([row["name"] for row in planned["ablation"]],
                         ["unbalanced", "+ data", "+ partition", "+ recomputation", "joint"])

    def test_a_strategy_without_a_plan_is_left_out_of_the_comparison(self):
        result = self.train("--baseline", "all", "--pp", "5", "--steps", "2")
        refusal = "the model has 4 language layers, fewer than stages of a naive plan: 5"
        self.assertEqual(result["strategies"][0], {"strategy": "naive", "refusal": refusal})
        self.assertEqual([len(each.get("loss", [])) for each in result["strategies"]], [0, 2, 2, 2])
        self.fails(3, refusal, "--baseline", "naive", "--pp", "5")

    def test_all_strategies_run_under_every_schedule(self):
        for schedule in ["interleaved", "zbv"]:
            with self.subTest(schedule=schedule):
                result = self.train("--baseline", "all", "--schedule", schedule, "--steps", "2")
                self.assertEqual([each["schedule"] for each in result["strategies"]],
                                 [schedule, schedule, "1f1b", schedule])

    def test_the_seed_changes_the_run(self):
        self.assertNotEqual(self.train("--pp", "1", "--seed", "2")["loss"],
                            self.one_rank["loss"])

    # ---- lengths of a real table ----

    def test_samples_follow_the_lengths_of_a_table(self):
        # Other columns may hold anything. Text: 60, 30 and 45 tokens; four image rows per tile.
        csv = self.table("lengths.csv", "id,token_num,vit_num\na,572,2\n\"b,c\",30,0\n,813,3\n")
        lines = self.table("lengths.jsonl", '{"pixels": 2, "words": 80, "note": [1]}\n'
                           '{"pixels": 0, "words": 30}\n{"pixels": 3, "words": 75}\n')
        costs = os.path.join(self.folder.name, "costs of lengths.json")
        result = self.train("--lengths", csv, "--costs", costs)
        self.assertEqual(len(result["loss"]), 12)
        self.assertNotEqual(result["loss"], self.one_rank["loss"])
        # The longest sample fits: 45 tokens of text and 12 image rows, or 60 and 8.
        self.assertGreaterEqual(result["capacity"]["tokens"], 68)
        self.assertGreaterEqual(result["capacity"]["tiles"], 3)
        same = self.train("--lengths", lines, "--resource", "images=pixels", "--resource",
                          "tokens=words", "--tile-tokens", "10", "--costs", costs)
        self.assertEqual(same["loss"], result["loss"])
        self.assertEqual(self.train("--pp", "1", "--microbatches", "8", "--lengths", csv,
                                    "--costs", costs)["loss"], result["loss"])

    def test_a_table_may_have_no_pictures_and_lengths_that_the_search_does_not_see(self):
        text = self.table("text.csv", "vit_num,token_num\n0,40\n0,1\n")
        result = self.train("--lengths", text, "--pp", "1")
        self.assertEqual(len(result["loss"]), 12)
        # 64 steps are searched; the one long row comes later.
        rare = self.table("rare.csv", "vit_num,token_num\n" + "0,40\n" * 400 + "2,812\n")
        result = self.train("--lengths", rare, "--pp", "1", "--batch", "1", "--steps", "600",
                            "--microbatches", "1", "--held-out", "0")
        self.assertEqual(len(result["loss"]), 600)
        self.assertEqual(result["capacity"]["tiles"], 2)
        self.expect_predicted_memory(result)

    # ---- checkpoints ----

    def kill_at(self, step, folder, *arguments):
        """Starts a run with checkpoints in the folder and kills it when it says that it has done this step.
        One that has ended before the signal came is started again, from its beginning."""
        for _ in range(20):
            run = subprocess.Popen(self.command("--progress", "--checkpoint", folder, *arguments),
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            with run:
                for line in run.stderr:
                    if line.startswith(f"step {step}/"):
                        run.send_signal(signal.SIGKILL)
                        break
            if run.returncode != 0:
                break
            shutil.rmtree(folder)
        self.assertEqual(run.returncode, -signal.SIGKILL)

    def test_killed_and_resumed_runs_have_the_same_losses(self):
        chosen = random.Random(int(os.environ.get("OMNIBAL_KILL_SEED", "1")))
        kills = int(os.environ.get("OMNIBAL_KILLS", "3"))
        expected = self.train("--pp", "2", "--dp", "2")
        for kill in range(kills):
            step = chosen.randint(2, 11)
            folder = os.path.join(self.folder.name, f"killed{kill}")
            with self.subTest(step=step):
                self.kill_at(step, folder, "--pp", "2", "--dp", "2", "--checkpoint-every", "1")
                same = self.train("--pp", "2", "--dp", "2", "--resume", folder)
                self.assertEqual(same["loss"], expected["loss"])
                # The same layers on three ranks, of another schedule.
                other = self.train("--pp", "3", "--schedule", "zbh1", "--resume", folder)
                self.assertLess(relative(other["loss"], expected["loss"]), 2e-5)
                self.assertEqual(len(other["loss"]), 12)

    def test_a_run_goes_on_from_the_checkpoint_that_is_named(self):
        folder = os.path.join(self.folder.name, "two checkpoints")
        whole = self.train("--checkpoint", folder, "--checkpoint-every", "5")
        older = self.train("--resume", os.path.join(folder, "step-000010"))
        self.assertEqual(older["loss"], whole["loss"])
        self.assertEqual(len(older["step_seconds"]), 2)

    def test_a_folder_with_later_checkpoints_is_not_that_of_a_new_run(self):
        folder = os.path.join(self.folder.name, "old")
        self.train("--checkpoint", folder, "--checkpoint-every", "3", "--steps", "9")
        line = (r".*step-000009: is there already, and this run starts after {} steps: go on from it "
                r"with --resume, or give --checkpoint another folder")
        self.fails(2, line.format(0), "--checkpoint", folder)
        self.fails(2, line.format(6), "--checkpoint", folder, "--resume",
                   os.path.join(folder, "step-000006"))
        self.train("--checkpoint", folder, "--resume", folder)
        self.assertEqual(sorted(os.listdir(folder)), ["step-000009", "step-000012"])

    def test_checkpoints_of_other_runs_are_refused(self):
        folder = os.path.join(self.folder.name, "other")
        self.train("--checkpoint", folder, "--steps", "2")
        self.fails(2, r"seed of the checkpoint = 1: this run has 2", "--resume", folder,
                   "--seed", "2")
        self.fails(2, r"batch of the checkpoint = 8: this run has 4", "--resume", folder,
                   "--batch", "4")
        self.fails(2, r".*step-000002 = 10: layers: the model small has 17", "--resume", folder,
                   "--size", "small")
        self.fails(2, r"steps of the checkpoint = 2: this run has fewer, 1", "--resume", folder,
                   "--steps", "1")
        self.fails(2, r".*step-000002: has learned another task: --blind or --lengths differ",
                   "--resume", folder, "--blind")
        with open(os.path.join(folder, "step-000002", "layer-0003.bin"), "r+b") as file:
            file.seek(100)
            file.write(b"damaged")
        self.fails(2, r".*step-000002/layer-0003.bin: is damaged: its contents have another hash",
                   "--resume", folder)

    def test_a_full_disk_leaves_the_checkpoint_before_it(self):
        folder = os.path.join(self.folder.name, "full disk")
        whole = self.train("--checkpoint", folder, "--checkpoint-every", "5")
        shutil.rmtree(os.path.join(folder, "step-000012"))

        def small_files():  # as a disk that has no room for a layer
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        ended = subprocess.run(self.command("--checkpoint", folder, "--resume", folder),
                               capture_output=True, text=True, timeout=120, preexec_fn=small_files)
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertRegex(ended.stderr, r"\Aomnibal-trainer: .*layer-\d+.bin: cannot be written.*\n\Z")
        self.assertIn("step-000010", os.listdir(folder))
        self.assertNotIn("step-000012", os.listdir(folder))
        self.assertEqual(self.train("--resume", folder)["loss"], whole["loss"])

    # ---- memory ----

    def test_a_budget_below_the_least_is_refused_before_the_first_step(self):
        def status(memory):
            return self.start("--memory", str(memory), "--steps", "1").returncode

        refused, fits = 1, 1 << 26
        self.assertEqual(status(fits), 0)
        while fits - refused > 1:
            middle = (refused + fits) // 2
            if status(middle) == 0:
                fits = middle
            else:
                refused = middle
        self.fails(3, rf"no plan fits {refused} bytes per rank: stage [01] lacks (at least )?\d+ "
                   r"bytes", "--memory", str(refused), "--steps", "1")
        tight = self.train("--memory", str(fits), "--steps", "1")
        self.expect_predicted_memory(tight, limit=fits)
        modes = {layer["mode"] for stage in tight["stages"] for layer in stage["layers"]}
        self.assertIn("full", modes)

    # ---- frozen layers ----

    def layer_values(self, folder, layer):
        with open(os.path.join(folder, "step-000012", f"layer-{layer:04}.bin"), "rb") as file:
            header, values = file.read(32), file.read()
        return values[:int.from_bytes(header[16:24], "little") * 4]

    def test_frozen_layers_stay_as_they_were_and_memory_is_predicted(self):
        names = ["patch_embedding", "vision0", "vision1", "projector", "embedding", "language0",
                 "language1", "language2", "language3", "head"]
        start = os.path.join(self.folder.name, "at the start")
        self.train("--learning-rate", "1e-30", "--checkpoint", start)
        for freeze in ["vision", "language"]:
            frozen = [name for name in names if name.startswith("vision") or
                      name == "patch_embedding"] if freeze == "vision" else names[4:]
            for schedule in ["1f1b", "zbh1", "zbv"]:
                folder = os.path.join(self.folder.name, f"frozen {freeze} {schedule}")
                with self.subTest(freeze=freeze, schedule=schedule):
                    result = self.train("--schedule", schedule, "--pp", "2", "--microbatches", "4",
                                        "--freeze", freeze, "--checkpoint", folder,
                                        "--checkpoint-every", "5")
                    one = self.train("--pp", "1", "--freeze", freeze)
                    self.assertEqual(result["loss"], one["loss"])
                    self.expect_predicted_memory(result)
                    for layer, name in enumerate(names):
                        same = self.layer_values(folder, layer) == self.layer_values(start, layer)
                        self.assertEqual(same, name in frozen, name)
            shutil.rmtree(os.path.join(folder, "step-000012"))
            self.assertEqual(self.train("--freeze", freeze, "--pp", "2",
                                        "--microbatches", "4", "--resume", folder)["loss"],
                             one["loss"])
            self.fails(2, rf"frozen layers of the checkpoint = {freeze}: this run has none",
                       "--resume", folder)

    # ---- the trace ----

    def test_the_trace_has_every_item_of_every_step_measured_and_predicted(self):
        path = os.path.join(self.folder.name, "trace.json")
        picture = os.path.join(self.folder.name, "picture.svg")
        self.train("--trace", path, "--picture", picture, "--steps", "2")
        with open(picture) as file:
            self.assertIn("step 1, measured operations", file.read())
        with open(path) as file:
            events = [each for each in json.load(file)["traceEvents"] if each["ph"] == "X"]
        measured = [each for each in events if each["pid"] < 2]
        predicted = [each for each in events if each["pid"] >= 2]
        self.assertEqual(len(measured), len(predicted))
        self.assertEqual({each["args"]["step"] for each in measured}, {0, 1})
        names = [each["name"] for each in measured if each["args"]["step"] == 0]
        for name in ["forward 0.0", "backward 1.0", "send_activation 0.0", "step 1"]:
            self.assertEqual(names.count(name), 1, name)
        self.assertEqual({each["name"] for each in predicted},
                         {"predicted " + each["name"] for each in measured})
        for each in events:
            self.assertGreaterEqual(each["dur"], 0)

    def test_a_file_on_standard_output_has_it_alone(self):
        ended = self.start("--out", "-", "--steps", "1")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(json.loads(ended.stdout)["steps"], 1)
        self.assertRegex(ended.stderr, r"\Aplanned: loss .*\n\Z")

    # ---- the page ----

    def test_the_page_shows_losses_the_last_step_and_memory_and_needs_no_other_file(self):
        path = os.path.join(self.folder.name, "page.html")
        result = self.train("--baseline", "all", "--steps", "3", "--report", path)
        with open(path) as file:
            page = file.read()
        self.assertEqual(page.count("<polyline"), 4)
        for strategy in ["naive", "unbalanced", "paper", "planned"]:
            for what in ["predicted", "measured operations", "as it was"]:
                self.assertEqual(page.count(f">{strategy}, step 2, {what}<"), 1)
        self.assertIn(f"{result['loss'][-1]:.4f}", page)
        for rank in result["ranks"]:
            self.assertIn(f"{rank['peak_bytes'] / 2**20:.2f} MiB", page)
        for row in result["ablation"]:
            self.assertIn(f"<span>{row['name']}</span>", page)
        self.assertNotRegex(page, r"\{\{|(src|href)=|@import")
        # A point per step, in the order of the steps, from left to right.
        points = re.findall(r"points='([^']*)'", page)[3].split()
        self.assertEqual(len(points), 3)
        across = [float(point.split(",")[0]) for point in points]
        self.assertEqual(across, sorted(across))
        heights = [float(point.split(",")[1]) for point in points]
        self.assertEqual(sorted(range(3), key=lambda i: -heights[i]),
                         sorted(range(3), key=lambda i: result["loss"][i]))


if __name__ == "__main__":
    unittest.main()
