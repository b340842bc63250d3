# SPDX-License-Identifier: Apache-2.0
"""omnibal-trainer --precision bf16: the same losses however a run is cut, bytes as predicted, and
checkpoints and costs that belong to one precision.

    python3 run_precision_test.py build/test/examples/trainer/omnibal-trainer
"""
import os
import shutil
import unittest

from trainer_runs import TrainerTest, relative


class RunPrecisionTest(TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_rank = cls("command").train("--pp", "1")

    def command(self, *arguments):
        chosen = () if "--precision" in arguments else ("--precision", "bf16")
        return super().command(*chosen, *arguments)

    def test_every_schedule_and_cut_has_the_losses_of_one_rank_to_the_bit_and_predicted_bytes(self):
        for schedule in ["gpipe", "1f1b", "interleaved", "zbh1", "zbv"]:
            for stages in ["2", "3"]:
                with self.subTest(schedule=schedule, stages=stages):
                    result = self.train("--schedule", schedule, "--pp", stages,
                                        "--microbatches", "4")
                    self.assertEqual(result["loss"], self.one_rank["loss"])
                    self.assertEqual(result["precision"], "bf16")
                    self.expect_predicted_memory(result, least_of_plan=0.97)
        replicas = self.train("--dp", "2", "--pp", "2")
        self.assertLess(relative(replicas["loss"], self.one_rank["loss"]), 1e-3)

    def test_bytes_are_predicted_where_layers_recompute(self):
        large = ["--steps", "3", "--batch", "48", "--schedule", "gpipe"]
        plenty = max(rank["planned_peak_bytes"] for rank in self.train(*large)["ranks"])
        for share in [0.95, 0.8, 0.65]:
            with self.subTest(share=share):
                limit = int(share * plenty)
                result = self.train("--memory", str(limit), *large)
                modes = {layer["mode"] for stage in result["stages"] for layer in stage["layers"]}
                self.assertNotEqual(modes, {"none"})
                self.expect_predicted_memory(result, least_of_plan=0.97, limit=limit)
        self.expect_predicted_memory(self.train("--baseline", "unbalanced"))

    def test_bf16_takes_less_memory_for_activations_and_has_nearly_the_losses_of_floats(self):
        costs = os.path.join(self.folder.name, "costs of floats.json")
        floats = self.train("--precision", "f32", "--pp", "1", "--costs", costs)
        self.assertEqual(floats["precision"], "f32")
        self.assertNotEqual(floats["loss"], self.one_rank["loss"])
        self.assertLess(relative(self.one_rank["loss"], floats["loss"]), 0.01)
        self.assertLess(self.one_rank["ranks"][0]["peak_saved_bytes"],
                        0.55 * floats["ranks"][0]["peak_saved_bytes"])
        self.fails(2, r".*costs of floats.json = f32: is the precision of these costs, this run has "
                   r"bf16: each needs a file of its own", "--costs", costs)

    def test_a_checkpoint_goes_on_in_its_own_precision_alone(self):
        folder = os.path.join(self.folder.name, "checkpoints")
        whole = self.train("--checkpoint", folder, "--checkpoint-every", "5")
        shutil.rmtree(os.path.join(folder, "step-000012"))
        self.assertEqual(self.train("--resume", folder)["loss"], whole["loss"])
        other = self.train("--resume", folder, "--pp", "3", "--schedule", "zbh1")
        self.assertLess(relative(other["loss"], whole["loss"]), 1e-3)
        self.fails(2, r"precision of the checkpoint = bf16: this run has f32", "--resume", folder,
                   "--precision", "f32")


if __name__ == "__main__":
    unittest.main()
