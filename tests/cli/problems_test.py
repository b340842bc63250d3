# SPDX-License-Identifier: Apache-2.0
"""partition, recompute, simulate and plan --problem."""
import json
import math

from command import CommandTest, main

MODE = {"name": "none", "extra": 0, "act": 1, "trans": 0}


def layer(fwd=10, bwd=20, modes=(MODE,), **more):
    return {"fwd": fwd, "bwd": bwd, "modes": list(modes), **more}


def joint(layers, stages=2, **more):
    return {"kind": "joint", "schedule": "1f1b", "stages": stages, "microbatches": 4, "layers": layers,
            "mem_limit": None, **more}


SIMULATE = {"kind": "simulate", "schedule": "1f1b", "stages": 2, "microbatches": 2, "fwd": [1, 2],
            "bwd": [3, 4], "cf": [1], "cb": [1]}


class Partition(CommandTest):
    def test_answer(self):
        report = self.succeed("partition", "--problem",
                              self.write("p.json", {"weights": [8, 2, 3, 1, 7, 3, 3, 4, 4, 3], "parts": 3}),
                              "--out", "answer.json")
        self.assertEqual((report["status"], report["bottleneck"], report["bound"]), ("optimal", 14, 14))
        self.assertEqual((report["cuts"][0], report["cuts"][-1]), (0, 10))
        self.assertEqual(json.loads(self.read("answer.json")), report)

    def test_fewer_weights_than_parts_is_infeasible_and_writes_nothing(self):
        report = self.succeed("partition", "--problem", self.write("p.json", {"weights": [1], "parts": 2}),
                              "--out", "answer.json", status=3)
        self.assertEqual((report["status"], report["reason"]), ("infeasible", "fewer_layers_than_stages"))
        self.assertEqual(self.files(), ["p.json"])

    def test_bad_input(self):
        for problem, words in [({"weights": [1, -2], "parts": 1}, ["weights[1]", "-2"]),
                               ({"weights": [1, 2.5], "parts": 1}, ["weights[1]", "2.5"]),
                               ({"weights": [1], "parts": 0}, ["parts", "0"]),
                               ({"weights": [1]}, ["parts", "missing"]),
                               ({"parts": 1}, ["weights", "missing"]),
                               ({"weights": 3, "parts": 1}, ["weights", "3"]),
                               ({"kind": "knapsack", "weights": [1], "parts": 1}, ["kind", "knapsack", "ccp"]),
                               ({"weights": [2**63], "parts": 1}, ["weights[0]", str(2**63)]),
                               ({"weights": [2**62, 2**62], "parts": 1}, ["weights"]),
                               ([1], ["p.json"])]:
            self.expect_failure("partition", "--problem", self.write("p.json", problem), naming=words)
        self.expect_failure("partition", "--problem", self.write("p.json", '{"weights": ['), naming="p.json")
        self.expect_failure("partition", "--problem", "none.json", naming="none.json")


class Recompute(CommandTest):
    FULL = {"name": "full", "extra": 7, "act": 0, "trans": 3}

    def problem(self, budget):
        return {"kind": "knapsack", "inflight": 2, "budget": budget,
                "layers": [layer(modes=[{**MODE, "act": 4}, self.FULL])] * 3}

    def test_answers(self):
        for budget, extra in [(24, 0), (23, 7), (19, 7), (18, 14), (10, 21), (3, 21)]:
            report = self.succeed("recompute", "--problem", self.write("p.json", self.problem(budget)))
            self.assertEqual((report["status"], report["extra"], len(report["modes"])), ("optimal", extra, 3), budget)

    def test_infeasible_says_how_much_is_missing(self):
        report = self.succeed("recompute", "--problem", self.write("p.json", self.problem(1)), status=3)
        self.assertEqual((report["reason"], report["bytes_short"]), ("memory", 2))

    def test_bad_input(self):
        for change, words in [({"inflight": 0}, ["inflight", "0"]), ({"budget": -1}, ["budget", "-1"]),
                              ({"layers": [{"fwd": 1}]}, ["layers[0].bwd", "missing"]),
                              ({"layers": [layer(modes=[])]}, ["modes"]),
                              ({"layers": [layer(modes=[{"extra": 1}])]}, ["layers[0].modes[0].act"]),
                              ({"layers": 3}, ["layers", "3"])]:
            self.expect_failure("recompute", "--problem", self.write("p.json", {**self.problem(9), **change}),
                                naming=words)


class Simulate(CommandTest):
    def test_answer_trace_and_picture(self):
        report = self.succeed("simulate", "--problem", self.write("p.json", SIMULATE), "--trace", "t.json",
                              "--svg", "t.svg")
        self.assertEqual((report["makespan"], report["busy"], report["peak_inflight"]), (18, [8, 12], [2, 1]))
        self.assertAlmostEqual(report["bubble_ratio"], 1 - 20 / 36)
        events = [e for e in json.loads(self.read("t.json"))["traceEvents"] if e["ph"] == "X"]
        self.assertEqual(len(events), 8)
        self.assertEqual(max(e["ts"] + e["dur"] for e in events), 18)
        self.assertEqual({e["name"] for e in events if e["tid"] == 1}, {"F1.0", "F1.1", "B1.0", "B1.1"})
        self.assertTrue(self.read("t.svg").startswith(b"<svg "))

    def test_recomputation_is_told_apart(self):
        red = 'cc6677'
        for recompute, bars in (([0, 0], 0), ([1, 2], 4), ([0, 2], 2)):
            problem = self.write("p.json", {**SIMULATE, "recompute": recompute})
            report = self.succeed("simulate", "--problem", problem, "--trace", "t.json", "--svg", "t.svg")
            self.assertEqual(report["makespan"], 18)
            # One red square is that of the legend.
            self.assertEqual(self.read("t.svg").decode().count(red), bars + 1)
            events = [e for e in json.loads(self.read("t.json"))["traceEvents"] if e["ph"] == "X"]
            for event in events:
                stage = int(event["name"][1])
                self.assertEqual(event["args"]["recomputed"], recompute[stage] if event["name"][0] == "B" else 0)

    def test_explicit_order(self):
        order = [["F0.0", "F0.1", "B0.0", "B0.1"], ["F1.0", "F1.1", "B1.1", "B1.0"]]
        report = self.succeed("simulate", "--problem", self.write("p.json", {**SIMULATE, "device_order": order}))
        self.assertGreater(report["makespan"], 0)
        # Devices may be numbered otherwise, and a stage may be on any of them.
        swapped = self.succeed("simulate", "--problem", self.write("p.json", {**SIMULATE, "device_order": order[::-1]}))
        self.assertEqual((swapped["makespan"], swapped["busy"]), (report["makespan"], report["busy"][::-1]))
        alone = self.succeed("simulate", "--problem", self.write("p.json", {**SIMULATE, "device_order":
                             [["F0.0", "F1.0", "B1.0", "B0.0", "F0.1", "F1.1", "B1.1", "B0.1"], []]}))
        self.assertEqual(alone["busy"], [sum(report["busy"]), 0])
        torn = [["F0.0", "F0.1", "B0.0", "B1.0"], ["F1.0", "F1.1", "B1.1", "B0.1"]]
        self.expect_failure("simulate", "--problem", self.write("p.json", {**SIMULATE, "device_order": torn}),
                            naming=["device_order", "F1.0", "device 0"])

    def test_bad_input(self):
        for change, words in [({"fwd": [1]}, ["fwd", "1"]), ({"bwd": [1, -1]}, ["bwd[1]", "-1"]),
                              ({"schedule": "2f2b"}, ["schedule", "2f2b", "1f1b"]),
                              ({"microbatches": 0}, ["microbatches", "0"]),
                              ({"stages": -1}, ["stages", "-1"]),
                              ({"mb_scale": [1]}, ["mb_scale"]), ({"recompute": [1]}, ["recompute"]),
                              ({"recompute": [0, 99]}, ["recompute[1]", "99", "bwd"]),
                              ({"fwd": [2**62, 2**62]}, ["times"]),
                              ({"device_order": [["F0.0"], ["F1.0"]]}, ["device_order"]),
                              ({"device_order": [["X0.0"], []]}, ["X0.0"]),
                              ({"schedule": "interleaved", "microbatches": 3, "virtual": 2}, ["microbatches"])]:
            self.expect_failure("simulate", "--problem", self.write("p.json", {**SIMULATE, **change}), naming=words)


class Plan(CommandTest):
    def test_objectives(self):
        problem = self.write("p.json", joint([layer(cf=5, cb=5)] * 4, stages=4, microbatches=8))
        for objective, value in [("bottleneck", 30), ("blocking_bottleneck", 50), ("closed_form", 360),
                                 ("period", 37.5)]:
            report = self.succeed("plan", "--problem", problem, "--objective", objective)
            self.assertEqual((report["status"], report["objective"], report["bound"]), ("optimal", value, value))
            self.assertEqual(report["objective_numerator"], value * report["objective_denominator"])
            self.assertEqual(math.gcd(report["objective_numerator"], report["objective_denominator"]), 1)
            self.assertEqual(report["cuts"], [0, 1, 2, 3, 4])
            self.assertEqual(report["peak_memory"], [4, 3, 2, 1])

    def test_memory_that_fits_exactly_and_is_one_short(self):
        for limit, status in [([4, 2], 0), ([3, 2], 3)]:
            report = self.succeed("plan", "--problem", self.write("p.json", joint([layer()] * 4, mem_limit=limit)),
                                  "--out", f"plan{status}.json", status=status)
        self.assertEqual((report["reason"], report["binding_stage"], report["bytes_short"]), ("memory", 0, 1))
        self.assertIn("1 bytes more", report["suggestion"])
        self.assertEqual(self.files(), ["p.json", "plan0.json"])

    def test_five_stages_for_four_layers(self):
        report = self.succeed("plan", "--problem", self.write("p.json", joint([layer()] * 4, stages=5)), status=3)
        self.assertEqual(report["reason"], "fewer_layers_than_stages")

    def test_makespan_and_variance(self):
        problem = self.write("p.json", joint([layer(cf=5, cb=5)] * 4, stages=4, microbatches=8))
        for objective, value in [("makespan", 410), ("variance", 0), ("expected_makespan", 410), ("cvar", 410)]:
            report = self.succeed("plan", "--problem", problem, "--objective", objective)
            self.assertEqual((report["status"], report["objective"], report["bound"]), ("optimal", value, value))
            self.assertEqual(report["makespan"], 410)
        self.expect_failure("plan", "--problem", problem, "--objective", "botleneck", naming=["botleneck", "bottleneck"])

    def test_zero_bubble_and_interleaved(self):
        for more, makespan in [({"schedule": "zbh1"}, 140), ({"schedule": "interleaved", "virtual": 2}, 150),
                               ({"schedule": "zbv"}, 140)]:
            layers = [layer(wgrad=10)] * 4
            report = self.succeed("plan", "--problem", self.write("p.json", joint(layers, **{"microbatches": 2, **more})),
                                  "--objective", "makespan")
            self.assertEqual((report["status"], report["objective"], report["makespan"]), ("optimal", makespan, makespan))

    def test_scenarios(self):
        times = [[1, 2], [3, 4], [5, 6]]
        problem = {"kind": "stochastic", "schedule": "1f1b", "stages": 2, "microbatches": 2,
                   "layers": [layer(fwd=0, bwd=0)] * 3, "mem_limit": None,
                   "scenarios": [{"fwd": times, "bwd": times}, {"fwd": times[::-1], "bwd": times[::-1]}]}
        path = self.write("p.json", problem)
        mean = self.succeed("plan", "--problem", path)
        worst = self.succeed("plan", "--problem", path, "--objective", "worst_makespan")
        self.assertEqual(mean["objective_numerator"] * 2, sum(mean["makespans"]) * mean["objective_denominator"])
        self.assertEqual(worst["objective"], max(worst["makespans"]))
        for alpha, like in [("0", mean), ("0.5", worst), ("1", worst)]:
            tail = self.succeed("plan", "--problem", path, "--objective", "cvar", "--alpha", alpha)
            self.assertEqual(tail["objective"], like["objective"])
        for given in [0.5, {"num": 1, "den": 2}]:
            tail = self.succeed("plan", "--problem", self.write("q.json", {**problem, "alpha": given}), "--objective", "cvar")
            self.assertEqual(tail["objective"], worst["objective"])
        self.expect_failure("plan", "--problem", path, "--objective", "period", naming=["period", "cvar"])
        del problem["kind"]
        self.assertEqual(self.succeed("plan", "--problem", self.write("q.json", problem))["makespans"], mean["makespans"])
        for change, words in [({"scenarios": []}, ["scenarios"]), ({"scenarios": 3}, ["scenarios", "3"]),
                              ({"scenarios": [{"fwd": times}]}, ["scenarios[0].bwd", "missing"]),
                              ({"scenarios": [{"fwd": times, "bwd": times[1:]}]}, ["bwd", "2"]),
                              ({"scenarios": [{"fwd": times, "bwd": [[1, -2], [1, 1], [1, 1]]}]}, ["bwd", "-2"]),
                              ({"alpha": 1.5}, ["alpha", "1.5"]), ({"alpha": {"num": 3, "den": 2}}, ["alpha"])]:
            self.expect_failure("plan", "--problem", self.write("q.json", {**problem, **change}), "--objective", "cvar",
                                naming=words)

    def test_fields(self):
        def plan(objective="bottleneck", status=0, **more):
            return self.succeed("plan", "--problem", self.write("p.json", joint([layer()] * 6, **more)), "--objective",
                                objective, status=status)
        self.assertEqual(plan(devices=[{"speed": {"num": 1, "den": 1}}, {"speed": {"num": 2, "den": 1}}])["cuts"], [0, 4, 6])
        self.assertEqual(plan(devices=[{}, {}])["cuts"], [0, 3, 6])
        self.assertEqual(plan(together=[[0, 3]])["cuts"], [0, 4, 6])
        self.assertEqual(plan(apart=[[0, 1]])["cuts"], [0, 1, 6])
        self.assertEqual(plan(apart=[[0, 1]], together=[[1, 0]], status=3)["reason"], "together_and_apart")
        self.assertEqual(plan(mem_limit=[6, 3])["status"], "optimal")
        self.assertEqual(plan(mem_limit=[6, 3], memory_margin=1, status=3)["bytes_short"], 1)
        tied = plan(tied=[[0, 5]])
        self.assertEqual(tied["gradient_reductions"], [[0, 5]])
        self.assertEqual(plan(schedule="interleaved", virtual=2, tied=[[0, 5]], group_size=3, microbatches=5)["status"], "optimal")

    def test_frozen_layers(self):
        # Two frozen layers without backward, two trained ones.
        frozen = layer(trainable=False, cb=7)
        report = self.succeed("plan", "--problem", self.write("p.json", joint([frozen, frozen, layer(), layer()])))
        self.assertEqual((report["objective"], report["cuts"], report["stage_backward"]), (50, [0, 3, 4], [20, 20]))
        self.assertEqual(report["peak_memory"], [2, 1])
        above = self.succeed("plan", "--problem", self.write("p.json", joint([layer(), layer(trainable=False, wgrad=5)])))
        self.assertEqual(above["stage_backward"], [20, 15])
        # A weight gradient that is given as 0 takes no time: the backward of a frozen layer is whole.
        given = [layer(fwd=1, bwd=2), layer(fwd=1, bwd=100, trainable=False, wgrad=0)]
        whole = self.succeed("plan", "--problem",
                             self.write("p.json", joint(given, stages=1, microbatches=1)))
        self.assertEqual(whole["makespan"], 104)
        self.expect_failure("plan", "--problem", self.write("p.json", joint([layer(), layer(input_grad=False)])),
                            naming=["input_grad", "1", "layer below"])
        self.expect_failure("plan", "--problem", self.write("p.json", joint([layer(trainable=1), layer()])),
                            naming=["layers[0].trainable", "1"])

    def test_evaluate(self):
        problem = self.write("p.json", joint([layer(cf=1)] * 4, mem_limit=[6, 2]))
        plan = self.succeed("plan", "--problem", problem, "--objective", "makespan", "--out", "plan.json")
        again = self.succeed("plan", "--problem", problem, "--objective", "makespan", "--evaluate", "plan.json")
        for key in ("objective", "makespan", "cuts", "modes", "peak_memory"):
            self.assertEqual(again[key], plan[key])
        self.assertEqual((again["status"], "bound" in again), ("feasible", False))
        bad = self.write("bad.json", {"cuts": [0, 1, 4], "modes": [0, 0, 0, 0]})
        report = self.succeed("plan", "--problem", problem, "--evaluate", bad, status=3)
        self.assertEqual((report["binding_stage"], report["bytes_short"]), (1, 1))
        for plan, words in [({"cuts": [0, 4], "modes": [0] * 4}, ["cuts"]), ({"cuts": [0, 2, 4]}, ["modes", "missing"]),
                            ({"cuts": [0, 2, 4], "modes": [0, 0, 0, 9]}, ["modes[3]", "9"])]:
            self.expect_failure("plan", "--problem", problem, "--evaluate", self.write("bad.json", plan), naming=words)

    def test_published_method(self):
        # Equal forwards, but backwards that only the exact method looks at.
        problem = self.write("p.json", joint([layer(bwd=200), layer(), layer(), layer()]))
        published = self.succeed("plan", "--problem", problem, "--objective", "bottleneck", "--method", "published")
        exact = self.succeed("plan", "--problem", problem, "--objective", "bottleneck")
        self.assertEqual(published["bound"], exact["objective"])
        self.assertGreaterEqual(published["objective"], exact["objective"])
        self.expect_failure("plan", "--problem", self.write("p.json", joint([layer()] * 2, schedule="zbh1")), "--method",
                            "published", naming=["zbh1", "paper"])
        self.expect_failure("plan", "--problem", problem, "--method", "best", naming=["best", "exact"])

    def test_time_limit(self):
        problem = self.write("p.json", joint([layer(fwd=7 + i * i % 5, cf=i % 3) for i in range(24)], stages=6))
        for limit in ["0", "1.5", "1e300"]:
            report = self.succeed("plan", "--problem", problem, "--objective", "makespan", "--time-limit", limit)
            self.assertIn(report["status"], ["optimal", "stopped"])
            self.assertLessEqual(report["bound"], report["objective"])
        self.expect_failure("plan", "--problem", problem, "--time-limit", "-1", naming="--time-limit")

    def test_advice_names_changes_that_fit(self):
        problem = joint([layer()] * 4, mem_limit=[3, 2])
        advice = self.succeed("plan", "--problem", self.write("p.json", problem), status=3)["suggestion"]
        for words in ["at most 1 micro-batches", "3 pipeline stages", "1 bytes more", "layer 0"]:
            self.assertIn(words, advice)
        self.succeed("plan", "--problem", self.write("p.json", {**problem, "microbatches": 1}))
        self.succeed("plan", "--problem", self.write("p.json", {**problem, "stages": 3, "mem_limit": [3, 2, 2]}))

    def test_bad_input(self):
        for problem, words in [(joint([layer(fwd=-1)] * 2), ["fwd", "-1"]), (joint([layer()] * 2, mem_limit=[1]), ["mem_limit"]),
                               (joint([layer()] * 2, reserved=[-1, 0]), ["reserved[0]", "-1"]),
                               (joint([layer(fwd=2**61)] * 2), ["times"]), (joint("no"), ["layers"]),
                               (joint([layer()] * 2, tied=[[0, 2]]), ["tied", "2"]),
                               (joint([layer()] * 2, tied=[0]), ["tied[0]", "0"]),
                               (joint([layer()] * 2, apart=[[1, 1]]), ["apart", "1"]),
                               (joint([layer()] * 2, together=3), ["together", "3"]),
                               (joint([layer()] * 2, together=[[-1, 0]]), ["together[0]", "-1"]),
                               (joint([layer()] * 2, memory_margin=-1), ["memory_margin", "-1"]),
                               (joint([layer()] * 2, memory_margin=0.1), ["memory_margin", "0.1"]),
                               (joint([layer()] * 2, devices=[{}]), ["devices", "1"]),
                               (joint([layer()] * 2, devices=[{"speed": {"num": 1, "den": 0}}, {}]), ["den", "0"]),
                               (joint([layer()] * 2, devices=[{"speed": {"num": -1}}, {}]), ["num", "-1"]),
                               (joint([layer()] * 2, devices=[{"speed": 2}, {}]), ["speed", "2"]),
                               ({"kind": "ccp"}, ["kind", "ccp"])]:
            self.expect_failure("plan", "--problem", self.write("p.json", problem), naming=words)


if __name__ == "__main__":
    main()
