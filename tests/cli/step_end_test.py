# SPDX-License-Identifier: Apache-2.0
"""What a trainer overlaps at the end of a step, recomputation before W, and ties between plans."""
import json

from command import main
from main_job import MainJobTest, job


def problem(layers, **more):
    return {"kind": "joint", "schedule": "1f1b", "stages": 2, "microbatches": 4, "layers": layers,
            "mem_limit": None, **more}


def layer(**more):
    return {"fwd": 10, "bwd": 20, **more}


class Problems(MainJobTest):
    def plan(self, content, *more):
        return self.succeed("plan", "--problem", self.write("p.json", content), *more)

    def test_reductions_hide_behind_the_last_backward(self):
        layers = [layer(step=3, reduction=15)] * 4
        plan = self.plan(problem(layers), "--objective", "makespan")
        # Two layers per stage: the reduction of the first layer is left.
        self.assertEqual(plan["makespan"], self.plan(problem([layer()] * 4), "--objective", "makespan")["makespan"] + 6 + 15)
        one = self.plan(problem([layer(gather=18)] * 2, stages=1), "--objective", "makespan")
        self.assertEqual(one["makespan"], 4 * 60 + 2 * 18 - 10)

    def test_bytes_held_until_w_count(self):
        mode = {"name": "full", "extra": 5, "act": 2, "act_w": 10, "trans": 9}
        content = problem([layer(wgrad=10, modes=[mode])] * 2, schedule="zbh1", mem_limit=[1000, 1000])
        # Device 1 runs F0 B0 F1 B1 W0: two micro-batches wait. Device 0 has two whole ones at most.
        self.assertEqual(self.plan(content)["peak_memory"], [13, 21])
        self.assertEqual(self.plan({**content, "mem_limit": [13, 21]})["status"], "optimal")
        short = self.succeed("plan", "--problem", self.write("p.json", {**content, "mem_limit": [13, 20]}), status=3)
        self.assertEqual((short["binding_stage"], short["bytes_short"]), (1, 1))

    def test_ties(self):
        content = problem([layer()] * 42, stages=16, microbatches=32)
        empty = {"fwd": 0, "bwd": 0}
        among = {**content, "layers": [empty] * 2 + content["layers"] + [empty] * 3}
        for objective in ("bottleneck", "blocking_bottleneck", "closed_form", "period"):
            plan = self.plan(content, "--objective", objective)
            self.assertEqual((plan["makespan"], plan["tie_settled"]), (3870, True))
            plan = self.plan(among, "--objective", objective)
            self.assertEqual(plan["makespan"], 3870)
            self.assertGreaterEqual(min(plan["stage_forward"]), 20)
        self.assertNotIn("tie_settled", self.plan(content, "--objective", "variance"))

    def test_bad_input(self):
        for key in ("reduction", "gather"):
            path = self.write("p.json", problem([layer(**{key: -1})] * 2))
            self.expect_failure("plan", "--problem", path, naming=[key, "-1", "must not be negative"])
        path = self.write("p.json", problem([layer()] * 2))
        for option in (("--recompute-for-w", "once"), ("--reduction", "overlapped")):
            self.expect_failure("plan", "--problem", path, *option, naming=[option[0], "--lengths", "act_w"])


class Runs(MainJobTest):
    def test_overlap(self):
        def evaluate(*more):
            report = self.succeed(*job("--shard-optimizer", "--evaluate", "plan.json", *more))
            return report["evaluated"]

        planned = self.succeed(*job("--shard-optimizer", "--out", "plan.json", "--reduction", "overlapped",
                                    "--gather", "overlapped"))
        self.check_order(planned)
        self.assertEqual((planned["reduction"], planned["gather"]), ("overlapped", "overlapped"))
        text = " ".join(planned["assumptions"])
        self.assertNotIn("not overlapped", text)
        end = planned["planned"]["step_end"]
        self.assertIn(f"{max(end['seconds']) * 1e3:.1f} ms on device", text)
        both = evaluate("--reduction", "overlapped", "--gather", "overlapped")
        self.assertEqual(both["epoch_seconds"], planned["planned"]["epoch_seconds"])
        self.assertEqual(both["step_end"], end)
        reduction, gather, none = evaluate("--reduction", "overlapped"), evaluate("--gather", "overlapped"), evaluate()
        self.assertNotIn("step_end", none)
        for one in (reduction, gather):
            self.assertLess(both["epoch_seconds"], one["epoch_seconds"])
            self.assertLess(one["epoch_seconds"], none["epoch_seconds"])
        for device in range(4):
            self.assertAlmostEqual(sum(figures["step_end"]["seconds"][device] + figures["step_end"]["hidden_seconds"][device]
                                       for figures in (reduction, gather, both)) / 3,
                                   both["step_end"]["seconds"][device] + both["step_end"]["hidden_seconds"][device], 9)

    def test_recomputation_for_w(self):
        once = self.succeed(*job("--schedule", "zbh1", "--shard-optimizer", "--out", "plan.json", memory="64GiB"))
        twice = self.succeed(*job("--schedule", "zbh1", "--shard-optimizer", "--recompute-for-w", "twice",
                                  memory="64GiB"))
        for report, word, held in ((once, "once", "holds all its activations"), (twice, "twice", "keeps its saved")):
            self.assertEqual(report["recompute_for_w"], word)
            self.assertIn(held, " ".join(report["assumptions"]))
            self.assertTrue(report["planned"]["fits"])
            self.assertTrue(any(report["planned"]["recomputed_layers"]))
        self.expect_failure(*job("--schedule", "zbh1", "--shard-optimizer", "--recompute-for-w", "twice", "--evaluate",
                                 "plan.json", memory="64GiB"), naming=["recompute_for_w", "once", "twice"])
        self.assertNotIn("recompute_for_w", self.succeed(*job()))

    def test_current_layout_of_a_split_backward(self):
        run = job("--schedule", "zbh1", "--shard-optimizer", "--recompute-for-w", "twice",
                  capacity="images=9,tokens=4096")
        today = self.succeed(*run, "--out", "plan.json")
        plan = json.loads(self.read("plan.json"))
        self.assertEqual(self.succeed(*run, "--current", "plan.json")["current"]["epoch_seconds"],
                         today["planned"]["epoch_seconds"])
        by_hand = {key: plan[key] for key in ("model", "dp", "pp", "tp", "schedule", "virtual", "cuts", "modes")}
        self.write("layout.json", json.dumps(by_hand))
        self.assertEqual(self.succeed(*run, "--current", "layout.json")["current"]["cuts"], plan["cuts"])
        cuts = [0, 11, 22, 33, 44, 55, 66, 77, plan["cuts"][-1]]
        self.write("layout.json", json.dumps({**by_hand, "schedule": "interleaved", "virtual": 2, "cuts": cuts}))
        self.assertEqual(self.succeed(*run, "--current", "layout.json")["current"]["cuts"], cuts)
        self.write("layout.json", json.dumps({**by_hand, "recompute_for_w": "once"}))
        for more in (run, job("--schedule", "auto", "--allow", "1f1b", "--recompute-for-w", "twice")):
            self.expect_failure(*more, "--current", "layout.json", naming=["recompute_for_w", "once", "twice"])

    def test_what_does_not_fit_may_recompute_twice(self):
        report = self.succeed(*job("--schedule", "zbh1"), status=3)
        self.assertIn("--recompute-for-w twice", report["suggestion"])
        self.assertIn("shard the optimizer", report["suggestion"])
        sharded = self.succeed(*job("--schedule", "zbh1", "--shard-optimizer", "--oversize", "skip", memory="24GiB"),
                               status=3)["suggestion"]
        for given in ("shard the optimizer", "--oversize"):
            self.assertNotIn(given, sharded)
        alone = self.succeed(*job("--schedule", "zbh1", dp=1), status=3)["suggestion"]
        self.assertNotIn("shard the optimizer", alone)
        self.assertEqual(self.succeed(*job("--schedule", "zbh1", "--recompute-for-w", "twice"))["status"], "feasible")

    def test_bad_input(self):
        self.expect_failure(*job("--recompute-for-w", "once"), naming=["--recompute-for-w", "1f1b", "zbh1"])
        self.expect_failure(*job("--schedule", "zbv", "--recompute-for-w", "thrice"), naming=["thrice", "once", "twice"])
        self.expect_failure(*job("--gather", "overlapped"), naming=["--gather", "--shard-optimizer"])
        self.expect_failure(*job("--reduction", "hidden"), naming=["--reduction", "hidden", "overlapped"])


if __name__ == "__main__":
    main()
