# SPDX-License-Identifier: Apache-2.0
"""omnibal pack: every option has its effect, every report can be recomputed from its packs."""
import hashlib
import json
import math
import os
import random

from command import DATA, CommandTest, main, samples

SHIPPED = os.path.join(DATA, "lengths.json")


def mixed_rows(count=500, seed=1):
    draw = random.Random(seed)
    return [(draw.choice([0, 1, 3, 5]), draw.randrange(1, 1500)) for _ in range(count)]


class Packs(CommandTest):
    def setUp(self):
        super().setUp()
        self.rows = mixed_rows()
        self.table = self.write("a.json", samples(*self.rows))

    def pack(self, *arguments, capacity="images=9,tokens=4096", table=None):
        report = self.succeed("pack", "--lengths", table or self.table, "--capacity", capacity, "--out", "p.json",
                              *arguments)
        return report, json.loads(self.read("p.json"))

    def groups(self, packs):
        offsets, indices = packs["offsets"], packs["indices"]
        return [indices[begin:end] for begin, end in zip(offsets, offsets[1:])]

    def check(self, report, packs, rows=None, ranks=8):
        """Holds the report against the packs."""
        rows = rows or self.rows
        groups = self.groups(packs)
        capacity = list(packs["capacity"].values())
        loads = [[sum(rows[i][r] for i in group) for r in range(2)] for group in groups]
        self.assertEqual(report["samples"], len(rows))
        self.assertEqual(report["packed"], len(packs["indices"]))
        self.assertEqual(report["packs"], len(groups))
        self.assertLessEqual(report["bound"], report["packs"])
        self.assertAlmostEqual(report["samples_per_pack"], len(packs["indices"]) / len(groups))
        self.assertEqual(report["steps"], len(packs["steps"]))
        self.assertEqual({len(step) for step in packs["steps"]}, {ranks})
        for r, name in enumerate(packs["capacity"]):
            total = sum(load[r] for load in loads)
            self.assertAlmostEqual(report["fill"][name], total / len(groups) / capacity[r])
            on_ranks = [[sum(loads[k][r] for k in rank) for rank in step] for step in packs["steps"]]
            ratios = [1 - sum(step) / ranks / max(step) if max(step) else 0 for step in on_ranks]
            self.assertAlmostEqual(report["dist_ratio"][name], sum(ratios) / len(ratios))
        costs = [sum(10**6 * load[r] // capacity[r] for r in range(2)) for load in loads]
        on_ranks = [[sum(costs[k] for k in rank) for rank in step] for step in packs["steps"]]
        self.assertAlmostEqual(report["cost_ratio"],
                               sum(map(max, on_ranks)) / (sum(map(sum, on_ranks)) / ranks))
        mean = sum(costs) / len(costs)
        deviation = math.sqrt(sum((cost - mean) ** 2 for cost in costs) / len(costs))
        self.assertAlmostEqual(report["pack_cost_variation"], deviation / mean)

    def test_every_sample_is_in_one_pack_within_capacity(self):
        for method in ("balanced", "isf", "streaming"):
            report, packs = self.pack("--method", method)
            self.check(report, packs)
            self.assertEqual(sorted(packs["indices"]), list(range(len(self.rows))))
            for group in self.groups(packs):
                self.assertTrue(group)
                self.assertLessEqual(sum(self.rows[i][0] for i in group), 9)
                self.assertLessEqual(sum(self.rows[i][1] for i in group), 4096)

    def test_file(self):
        _, packs = self.pack()
        self.assertEqual(list(packs), ["version", "inputs", "capacity", "offsets", "indices", "steps", "dropped"])
        self.assertEqual(packs["inputs"], [{"name": "a.json", "samples": 500,
                                            "sha256": hashlib.sha256(self.read("a.json")).hexdigest()}])
        self.assertEqual(packs["capacity"], {"images": 9, "tokens": 4096})
        self.assertEqual(self.call("--version").stdout, f"omnibal {packs['version']}\n")

    def test_report_has_what_the_contract_says(self):
        report, _ = self.pack()
        for key in ("samples", "packed", "oversize", "packs", "bound", "fill", "samples_per_pack", "steps",
                    "dist_ratio", "cost_ratio", "pack_cost_variation", "seconds"):
            self.assertIn(key, report)
        self.assertEqual(list(report["seconds"]), ["read", "pack", "dispatch"])

    def test_balanced_is_the_default(self):
        self.pack()
        default = self.read("p.json")
        self.pack("--method", "balanced", "--seed", 1024, "--dp", 8, "--micro-batches", 1, "--last-step", "short")
        self.assertEqual(self.read("p.json"), default)

    def test_same_seed_same_bytes(self):
        for method in (["--method", "balanced"], ["--method", "isf"], ["--method", "isf", "--stream", "published"]):
            outputs = []
            for seed in (1, 1, 2):
                self.pack(*method, "--seed", seed)
                outputs.append(self.read("p.json"))
            self.assertEqual(outputs[0], outputs[1])
            self.assertNotEqual(outputs[0], outputs[2])

    def test_streams_differ(self):
        _, native = self.pack("--method", "isf")
        _, published = self.pack("--method", "isf", "--stream", "published")
        self.assertNotEqual(native["indices"], published["indices"])
        self.assertEqual(self.pack("--method", "isf", "--stream", "native")[1], native)

    def test_iterations(self):
        counts = [self.pack("--method", "isf", "--iterations", n, capacity="images=10,tokens=9999")[0]["packs"]
                  for n in (1, 50)]
        self.assertLess(counts[1], counts[0])
        self.assertEqual(self.pack("--method", "isf")[1], self.pack("--method", "isf", "--iterations", 50)[1])

    def test_threshold(self):
        strict = self.pack("--method", "isf", "--iterations", 3)
        same = self.pack("--method", "isf", "--iterations", 3, "--threshold", "images=9,tokens=4096")
        loose = self.pack("--method", "isf", "--iterations", 3, "--threshold", "images=1,tokens=1")
        self.assertEqual(strict[1], same[1])
        self.assertNotEqual(strict[1], loose[1])
        # Everything is full at once: the first pass keeps all.
        self.assertEqual(loose[1], self.pack("--method", "isf", "--iterations", 1)[1])

    def test_streaming(self):
        def positions(packs):
            """By pack: the places of its samples in the stream, ascending."""
            return [sorted(group) for group in self.groups(packs)]

        def counts(*arguments):
            report, packs = self.pack("--method", "streaming", *arguments)
            self.check(report, packs)
            return report["packs"]

        self.assertLess(counts("--buffer", 200), counts("--buffer", 1))
        self.assertEqual(counts("--age-limit", 0), len(self.rows))
        self.assertEqual(self.pack("--method", "streaming")[1],
                         self.pack("--method", "streaming", "--buffer", 1000, "--age-limit", 8000)[1])
        _, packs = self.pack("--method", "streaming", "--buffer", 50, "--age-limit", 20)
        self.assertLessEqual(max(group[-1] - group[0] for group in positions(packs)), 20)
        # Every pack begins with the oldest sample that is left.
        left = set(range(len(self.rows)))
        for group in self.groups(packs):
            self.assertEqual(group[0], min(left))
            left -= set(group)

    def test_levelled_packs_are_as_many_and_more_even(self):
        report, packs = self.pack()
        self.assertEqual(self.pack("--level", 0)[1], packs)
        level, moved = self.pack("--level", 16)
        self.check(level, moved)
        self.assertEqual(moved["offsets"], packs["offsets"])
        self.assertLess(level["pack_cost_variation"], report["pack_cost_variation"])

    def test_ranks_and_microbatches(self):
        for ranks, microbatches in ((1, 1), (3, 2), (8, 4), (64, 1)):
            report, packs = self.pack("--dp", ranks, "--micro-batches", microbatches)
            self.check(report, packs, ranks=ranks)
            for step in packs["steps"][:-1]:
                self.assertEqual({len(rank) for rank in step}, {microbatches})

    def test_last_step(self):
        places = lambda packs: sorted(pack for step in packs["steps"] for rank in step for pack in rank)
        arguments = ["--dp", 8, "--micro-batches", 5]
        report, short = self.pack(*arguments)
        total = report["packs"]
        self.assertNotEqual(total % 40, 0, "this test needs a last step that is not full")
        self.assertEqual(places(short), list(range(total)))
        self.assertEqual(short["dropped"], [])
        report, drop = self.pack(*arguments, "--last-step", "drop")
        self.assertEqual(sorted(places(drop) + drop["dropped"]), list(range(total)))
        self.assertEqual((report["steps"], report["dropped"]), (total // 40, total % 40))
        self.assertEqual(len(drop["dropped"]), total % 40)
        _, pad = self.pack(*arguments, "--last-step", "pad")
        self.assertEqual({len(rank) for step in pad["steps"] for rank in step}, {5})
        real = [pack for step, mask in zip(pad["steps"], pad["mask"]) for rank, real in zip(step, mask)
                for pack, is_real in zip(rank, real) if is_real]
        self.assertEqual(sorted(real), list(range(total)))

    def costs(self, packs):
        capacity = list(packs["capacity"].values())
        return [sum(10**6 * sum(self.rows[i][r] for i in group) // capacity[r] for r in range(2))
                for group in self.groups(packs)]

    def test_epochs_are_packed_and_assigned_afresh(self):
        _, first = self.pack()
        _, second = self.pack("--epoch", 1)
        self.assertEqual(self.pack("--epoch", 0)[1], first)
        self.assertEqual(self.pack("--epoch", 1)[1], second)
        self.assertNotEqual(first["indices"], second["indices"])
        self.assertNotEqual(first["steps"], second["steps"])
        self.assertEqual(sorted(second["indices"]), list(range(len(self.rows))))

    def test_largest_first(self):
        for more in ([], ["--last-step", "drop"], ["--last-step", "pad", "--window", 4]):
            report, packs = self.pack("--largest-first", "--dp", 4, "--micro-batches", 3, *more)
            costs = self.costs(packs)
            first = sorted((costs[pack] for rank in packs["steps"][0] for pack in rank), reverse=True)
            self.assertEqual(first, sorted(costs, reverse=True)[:12])

    def test_windows_even_the_ranks_at_the_cost_of_random_steps(self):
        ratios, deviations = [], []
        for window in (1, 4, 1000):
            report, packs = self.pack("--window", window, "--dp", 4)
            self.check(report, packs, ranks=4)
            ratios.append(report["full_steps_cost_ratio"])
            deviations.append(report["window_deviation"])
            # By the definition, from the packs alone.
            costs = self.costs(packs)
            steps = [[costs[pack] for rank in step for pack in rank] for step in packs["steps"]]
            steps = [step for step in steps if len(step) == 4]
            every = [cost for step in steps for cost in step]
            mean = sum(every) / len(every)
            between = sum((sum(step) / 4 - mean) ** 2 for step in steps) / len(steps)
            expected = sum((cost - mean) ** 2 for cost in every) / len(every) / 4 * (len(every) - 4) / (len(every) - 1)
            self.assertAlmostEqual(report["window_deviation"], between / expected)
            self.assertAlmostEqual(report["full_steps_cost_ratio"],
                                   sum(map(max, steps)) / (sum(map(sum, steps)) / 4))
            self.assertLessEqual(report["cost_ratio_bound"], report["cost_ratio"] + 1e-12)
        self.assertEqual(ratios, sorted(ratios, reverse=True))
        self.assertEqual(deviations, sorted(deviations))

    def test_oversize(self):
        rows = [(1, 100), (12, 50), (2, 9000), (3, 300)]
        table = self.write("b.json", samples(*rows))
        self.expect_failure("pack", "--lengths", table, "--capacity", "images=9,tokens=4096", "--out", "p.json",
                  naming=["images[1] = 12", "9"])
        for method in ("balanced", "isf", "streaming"):
            report, packs = self.pack("--oversize", "skip", "--method", method, table=table)
            self.assertEqual((report["oversize"], report["packed"], report["packs"], report["bound"]), ([1, 2], 2, 1, 1))
            self.assertEqual(sorted(packs["indices"]), [0, 3])
            report, packs = self.pack("--oversize", "own_pack", "--method", method, table=table)
            self.assertEqual((report["oversize"], report["packed"], report["packs"], report["bound"]), ([1, 2], 4, 3, 3))
            self.assertEqual(sorted(map(sorted, self.groups(packs))), [[0, 3], [1], [2]])
        shown = self.call("pack", "--lengths", table, "--capacity", "images=9,tokens=4096", "--oversize", "skip",
                          "--format", "text").stdout
        self.assertRegex(shown, r"oversize +2\n")

    def test_automatic_capacity(self):
        rows = [(1, 100), (1, 100), (4, 700)]
        table = self.write("b.json", samples(*rows))
        auto = lambda *arguments: self.pack(*arguments, capacity="auto", table=table)[1]["capacity"]
        # All three in one pack waste no capacity; packs of one do.
        self.assertEqual(auto(), {"images": 6, "tokens": 900})
        self.assertEqual(auto("--target-samples-per-pack", "1"), {"images": 4, "tokens": 700})
        self.assertEqual(auto("--max", "tokens=800"), {"images": 4, "tokens": 700})
        self.assertEqual(auto("--max", "tokens=9999,images=5"), {"images": 4, "tokens": 700})
        report = self.pack(capacity="auto", table=table)[0]
        looked_at = report["capacities"]
        self.assertEqual([one["capacity"]["images"] for one in looked_at], [4, 5, 6])
        self.assertEqual([one["passed_over"] is None for one in looked_at], [False, False, True])
        self.assertIn("capacities", report["seconds"])
        self.expect_failure("pack", "--lengths", table, "--capacity", "auto", "--max", "tokens=600", naming="tokens[2] = 700")
        text = self.write("c.json", samples((0, 10), (0, 20)))
        self.assertEqual(self.pack(capacity="auto", table=text)[1]["capacity"], {"images": 1, "tokens": 30})

    def test_one_sample(self):
        report, packs = self.pack(table=self.write("b.json", samples((1, 300))))
        self.assertEqual((report["packs"], report["bound"], report["status"]), (1, 1, "optimal"))
        self.assertEqual(sorted(packs["steps"][0]), [[]] * 7 + [[0]])

    def test_bound_where_it_is_known(self):
        # Two samples of five images never share a pack of nine.
        report, _ = self.pack(table=self.write("b.json", samples(*[(5, 10)] * 7)))
        self.assertEqual((report["packs"], report["bound"], report["status"]), (7, 7, "optimal"))

    def test_huge_loads(self):
        big = 2**62
        report, _ = self.pack("--oversize", "skip", table=self.write("b.json", samples((1, 1), (big, big))))
        self.assertEqual(report["oversize"], [1])
        self.expect_failure("pack", "--lengths", "b.json", "--capacity", "images=1,tokens=1", "--oversize", "own_pack",
                  naming="too large")
        report, _ = self.pack(capacity=f"images={2**63 - 1},tokens={2**63 - 1}", table="b.json")
        self.assertEqual(report["packs"], 1)

    def test_the_table_that_ships(self):
        report, _ = self.pack(table=SHIPPED)
        self.assertEqual((report["samples"], report["packed"]), (4000, 4000))


class Evaluate(CommandTest):
    def setUp(self):
        super().setUp()
        self.table = self.write("a.json", samples(*mixed_rows(100)))
        self.arguments = ["pack", "--lengths", self.table]

    def test_packs_are_measured_as_they_were_when_made(self):
        for more in ([], ["--last-step", "pad"], ["--last-step", "drop", "--dp", 3], ["--method", "isf"]):
            made = self.succeed(*self.arguments, "--capacity", "images=9,tokens=4096", "--out", "p.json", *more)
            measured = self.succeed(*self.arguments, "--evaluate", "p.json", "--out", "q.json")
            for report in (made, measured):
                del report["seconds"]
            self.assertEqual(measured, made)
            self.assertEqual(self.read("q.json"), self.read("p.json"))

    def test_oversize_samples_are_measured_too(self):
        for oversize in ("skip", "own_pack"):
            made = self.succeed(*self.arguments, "--capacity", "images=4,tokens=1000", "--out", "p.json",
                                "--oversize", oversize)
            measured = self.succeed(*self.arguments, "--evaluate", "p.json")
            for report in (made, measured):
                del report["seconds"]
            self.assertEqual(measured, made)

    def test_other_inputs_are_refused_and_named(self):
        other = self.write("b.json", samples((1, 1)))
        self.succeed("pack", "--lengths", self.table, other, "--capacity", "images=9,tokens=4096", "--out", "p.json")
        self.write("b.json", samples((1, 2)))
        self.expect_failure("pack", "--lengths", self.table, other, "--evaluate", "p.json", naming=["p.json", "b.json", "other bytes"])
        self.expect_failure("pack", "--lengths", other, self.table, "--evaluate", "p.json", naming=["p.json", "a.json"])
        self.expect_failure("pack", "--lengths", self.table, "--evaluate", "p.json", naming=["p.json", "b.json", "--lengths"])

    def test_packs_that_do_not_hold_are_refused(self):
        self.write("b.json", samples((5, 10), (5, 10), (12, 10)))
        good = {"capacity": {"images": 9, "tokens": 99}, "offsets": [0, 1, 2], "indices": [0, 1],
                "steps": [[[0], [1]]], "dropped": [],
                "inputs": [{"name": "b.json", "samples": 3, "sha256": hashlib.sha256(self.read("b.json")).hexdigest()}]}
        evaluate = lambda **changes: ["pack", "--lengths", "b.json", "--evaluate",
                                      self.write("p.json", {**good, **changes})]
        self.assertEqual(self.succeed(*evaluate())["oversize"], [2])
        self.assertEqual(self.succeed(*evaluate())["packs"], 2)
        self.expect_failure(*evaluate(offsets=[0, 2], steps=[[[0], []]]), naming=["p.json: packs[0]", "within the capacity, 9"])
        self.expect_failure(*evaluate(indices=[0, 0]), naming=["p.json: samples[0] = in packs 2 times", "once"])
        self.expect_failure(*evaluate(indices=[0, 2]), naming=["p.json: samples[1] = in packs 0 times"])
        self.expect_failure(*evaluate(offsets=[0, 0, 2]), naming=["p.json: packs[0] = empty"])
        self.expect_failure(*evaluate(capacity={"images": 0, "tokens": 9}), naming=["p.json", "capacity"])
        self.expect_failure(*evaluate(steps=[[[0], [2]]]), naming=["p.json: steps"])


    def test_options_that_make_packs_are_refused_by_name(self):
        self.succeed(*self.arguments, "--capacity", "images=9,tokens=4096", "--out", "p.json")
        evaluate = [*self.arguments, "--evaluate", "p.json"]
        for option, value in (("--dp", 8), ("--micro-batches", 1), ("--last-step", "short"), ("--window", 1),
                              ("--epoch", 0), ("--seed", 1024), ("--method", "balanced"), ("--oversize", "reject"),
                              ("--repeat", 1), ("--level", 1), ("--sequence-parallel-size", 2),
                              ("--capacity", "auto")):
            self.expect_failure(*evaluate, option, value, naming=[option, "--evaluate"])
        self.expect_failure(*evaluate, "--largest-first", naming=["--largest-first", "--evaluate"])
        self.succeed(*evaluate, "--resource", "images=vit_num", "--resource", "tokens=token_num", "--out", "q.json")


class SequenceParallel(CommandTest):
    def setUp(self):
        super().setUp()
        self.rows = mixed_rows(300)
        self.arguments = ["pack", "--lengths", self.write("a.json", samples(*self.rows))]

    def pack(self, *arguments):
        report = self.succeed(*self.arguments, "--capacity", "images=9,tokens=4096", "--out", "p.json", *arguments)
        return report, json.loads(self.read("p.json"))

    def groups(self, packs):
        """The groups of packs, in the order of the plan."""
        groups = []
        for step, of_step in zip(packs["steps"], packs["group_sizes"]):
            for rank, sizes in zip(step, of_step):
                self.assertEqual(len(rank), sum(sizes))
                for size in sizes:
                    groups.append(rank[:size])
                    rank = rank[size:]
        return groups

    def test_each_rank_has_groups_of_packs(self):
        for size, microbatches in ((2, 1), (4, 3), (1000, 1)):
            report, packs = self.pack("--sequence-parallel-size", size, "--micro-batches", microbatches, "--dp", 3)
            groups = self.groups(packs)
            self.assertEqual(sorted(pack for group in groups for pack in group), list(range(report["packs"])))
            self.assertEqual(sorted(map(len, groups), reverse=True),
                             [size] * (report["packs"] // size) + [report["packs"] % size] * (report["packs"] % size > 0))
            for of_step in packs["group_sizes"][:-1]:
                self.assertEqual([len(rank) for rank in of_step], [microbatches] * 3)
            loads = [[sum(self.rows[i][r] for i in packs["indices"][begin:end]) for r in range(2)]
                     for begin, end in zip(packs["offsets"], packs["offsets"][1:])]
            costs = [sum(10**6 * sum(loads[pack][r] for pack in group) // (9, 4096)[r] for r in range(2)) for group in groups]
            mean = sum(costs) / len(costs)
            deviation = math.sqrt(sum((cost - mean) ** 2 for cost in costs) / len(costs))
            self.assertAlmostEqual(report["group_cost_variation"], deviation / mean)
            on_ranks = [[[sum(loads[pack][r] for pack in rank) for rank in step] for step in packs["steps"]] for r in range(2)]
            for r, name in enumerate(("images", "tokens")):
                self.assertAlmostEqual(report["dist_ratio"][name],
                                       sum(1 - sum(step) / 3 / max(step) for step in on_ranks[r]) / report["steps"])

    def test_groups_of_one_are_packs(self):
        self.assertEqual(self.pack("--sequence-parallel-size", 1)[1], self.pack()[1])
        self.assertNotIn("group_sizes", self.pack()[1])
        self.assertNotIn("group_cost_variation", self.pack()[0])

    def test_packs_are_measured_as_they_were_when_made(self):
        for more in ([], ["--last-step", "pad"], ["--last-step", "drop"], ["--window", 4, "--epoch", 2]):
            made, _ = self.pack("--sequence-parallel-size", 4, "--dp", 5, "--micro-batches", 2, *more)
            measured = self.succeed(*self.arguments, "--evaluate", "p.json", "--out", "q.json")
            del made["seconds"], measured["seconds"]
            self.assertEqual(measured, made)
            self.assertEqual(self.read("q.json"), self.read("p.json"))

    def test_group_sizes_that_do_not_fit_the_steps_are_refused(self):
        _, packs = self.pack("--sequence-parallel-size", 2, "--dp", 2, "--last-step", "pad")
        evaluate = lambda **changes: self.arguments + ["--evaluate", self.write("q.json", {**packs, **changes})]
        sizes = packs["group_sizes"]
        self.succeed(*evaluate())
        for bad, naming in (([], "as in steps"), (sizes + sizes[:1], "integer"), ([[[2]]] + sizes[1:], "each rank"),
                            ([[[1], [2]]] + sizes[1:], "add up"), ([[[2, 0], [2]]] + sizes[1:], "empty"),
                            ([[[-2], [2]]] + sizes[1:], "integer"), (sizes + [[[], []]], "as in steps"),
                            (7, "array")):
            self.expect_failure(*evaluate(group_sizes=bad), naming=["q.json: group_sizes", naming])
        if "mask" in packs:
            mask = json.loads(json.dumps(packs["mask"]))
            mask[0][0][0] = 0
            self.expect_failure(*evaluate(mask=mask), naming="q.json")


class Keys(CommandTest):
    CAPACITY = ["--capacity", "images=9,tokens=4096"]

    def setUp(self):
        super().setUp()
        self.rows = mixed_rows(80)
        self.records = [{"id": f"s{k}", "vit_num": images, "token_num": tokens}
                        for k, (images, tokens) in enumerate(self.rows)]
        self.write("a.json", json.dumps(self.records))

    def make(self, *arguments):
        report = self.succeed("pack", "--lengths", "a.json", "--key", "id", *self.CAPACITY, "--out", "p.json", *arguments)
        del report["seconds"]
        return report, json.loads(self.read("p.json"))

    def evaluate(self, *tables, more=()):
        report = self.succeed("pack", "--lengths", *tables, "--key", "id", "--evaluate", "p.json", *more)
        del report["seconds"]
        return report

    def shuffled(self):
        records = self.records[:]
        random.Random(3).shuffle(records)
        return records

    def test_keys_are_written(self):
        _, packs = self.make()
        self.assertEqual(packs["keys"], [record["id"] for record in self.records])
        self.assertRegex(packs["keys_fingerprint"], "^[0-9a-f]{16}$")

    def test_packs_outlive_another_order_and_another_format_of_the_table(self):
        made, packs = self.make()
        records = self.shuffled()
        self.write("b.json", json.dumps(records[:30]))
        self.write("c.csv", "id,vit_num,token_num\n" + "".join(f"{r['id']},{r['vit_num']},{r['token_num']}\n" for r in records[30:]))
        self.assertEqual(self.evaluate("b.json", "c.csv", more=["--out", "q.json"]), made)
        again = json.loads(self.read("q.json"))
        self.assertEqual([records[k]["id"] for k in again["indices"]], [f"s{k}" for k in packs["indices"]])
        self.assertEqual(again["keys_fingerprint"], packs["keys_fingerprint"])
        self.assertEqual([again[part] for part in ("offsets", "steps")], [packs[part] for part in ("offsets", "steps")])

    def test_the_samples_of_a_mixture_are_found_too(self):
        made, _ = self.make("--repeat", "5/2")
        self.write("b.json", json.dumps(self.shuffled()))
        self.assertEqual(self.evaluate("b.json"), made)
        self.expect_failure("pack", "--lengths", "b.json", "--key", "id", "--evaluate", "p.json", "--out", "q.json",
                            naming=["--out", "mixture"])

    def test_other_samples_are_refused(self):
        self.make()
        evaluate = lambda records: ["pack", "--lengths", self.write("b.json", json.dumps(records)), "--key", "id",
                                    "--evaluate", "p.json"]
        self.expect_failure(*evaluate(self.records[1:]), naming=["keys[0] = s0", "missing"])
        self.expect_failure(*evaluate(self.records + [{"id": "new", "vit_num": 1, "token_num": 1}]), naming=["keys[80] = new", "new"])
        self.expect_failure(*evaluate([{**self.records[0], "token_num": 7}] + self.records[1:]), naming=["keys_fingerprint", "loads of a sample have changed"])
        self.succeed("pack", "--lengths", "a.json", *self.CAPACITY, "--out", "p.json")
        self.expect_failure(*evaluate(self.records), naming=["p.json: keys", "without --key"])

    def test_keys_may_be_integers(self):
        self.write("a.jsonl", "".join(json.dumps({**record, "id": k}) + "\n" for k, record in enumerate(self.records)))
        report = self.succeed("pack", "--lengths", "a.jsonl", "--key", "id", *self.CAPACITY, "--out", "p.json")
        self.assertEqual(json.loads(self.read("p.json"))["keys"], [str(k) for k in range(80)])

    def test_bad_keys_are_refused_by_place(self):
        def refuse(naming, name="b.json", key="id", **change):
            text = json.dumps([self.records[0], {**self.records[1], **change}, self.records[2]])
            self.expect_failure("pack", "--lengths", self.write(name, text), "--key", key, *self.CAPACITY, naming=naming)
        for bad in (None, True, 1.5, [], {}, ""):
            refuse(["b.json", "id[1]", "must be a text"], id=bad)
        refuse(["id[1]"], id=["nested"])
        refuse(["--key", "keys[1] = s0", "sample 0"], id="s0")
        refuse(["name[0]", "missing", "--key"], key="name")
        refuse(["--key", "nothing"], key="")
        self.write("b.csv", "id,vit_num,token_num\na,1,10\n,1,10\n")
        self.expect_failure("pack", "--lengths", "b.csv", "--key", "id", *self.CAPACITY, naming=["b.csv", "id", "must be a text"])
        self.expect_failure("pack", "--lengths", "b.csv", "--key", "name", *self.CAPACITY, naming=["b.csv", "lacks name"])


class Mixture(CommandTest):
    CAPACITY = ["--capacity", "images=9,tokens=4096"]

    def setUp(self):
        super().setUp()
        self.rows = [mixed_rows(60, 1), mixed_rows(40, 2)]
        for name, rows in zip("ab", self.rows):
            self.write(f"{name}.json", samples(*rows))
        self.arguments = ["pack", "--lengths", "a.json", "b.json", "--out", "p.json"]

    def pack(self, *arguments):
        report = self.succeed(*self.arguments, *self.CAPACITY, *arguments)
        return report, json.loads(self.read("p.json"))

    def times(self, packs):
        return [packs["indices"].count(id) for id in range(100)]

    def test_samples_are_there_as_often_as_the_rates_say(self):
        rows = self.rows[0] + self.rows[1]
        for method in ("balanced", "isf", "streaming"):
            report, packs = self.pack("--repeat", "1,5/2", "--method", method)
            times = self.times(packs)
            self.assertEqual(set(times[:60]), {1})
            self.assertEqual((set(times[60:]), sum(times[60:])), ({2, 3}, 100))
            self.assertEqual((report["samples"], report["drawn"], report["packed"]), (100, 160, 160))
            self.assertEqual(packs["repeat"], {"rates": ["1", "5/2"], "seed": 1024, "epoch": 0})
            self.assertLessEqual(report["bound"], report["packs"])
            for begin, end in zip(packs["offsets"], packs["offsets"][1:]):
                loads = [sum(rows[id][r] for id in packs["indices"][begin:end]) for r in range(2)]
                self.assertTrue(begin < end and loads[0] <= 9 and loads[1] <= 4096)

    def test_epochs_take_turns(self):
        total = [0] * 100
        for epoch in range(4):
            _, packs = self.pack("--repeat", "1/4,0.75", "--epoch", epoch)
            total = [a + b for a, b in zip(total, self.times(packs))]
            self.assertEqual(packs["repeat"]["epoch"], epoch)
        self.assertEqual(total, [1] * 60 + [3] * 40)

    def test_with_isf_an_epoch_has_a_meaning(self):
        self.assertNotEqual(self.pack("--repeat", "1/2,1", "--method", "isf")[1]["indices"],
                            self.pack("--repeat", "1/2,1", "--method", "isf", "--epoch", 1)[1]["indices"])

    def test_rates_are_the_same_however_written(self):
        self.pack("--repeat", "2.5,0.25")
        expected = self.read("p.json")
        for rates in ("5/2,1/4", "10/4,.25", "2.50,00.2500"):
            self.pack("--repeat", rates)
            self.assertEqual(self.read("p.json"), expected)

    def test_rates_that_are_none_are_refused_by_index(self):
        refuse = lambda rates, naming: self.expect_failure(*self.arguments, *self.CAPACITY, "--repeat=" + rates,
                                                           naming=naming)
        for rate in ("0", "0/3", "3/0", "-1", "x", "1/2/3", "1.5/2", "1/", "/2", "1e3", ".", "+1", "4294967296",
                     "1/4294967296", "0.0000000001", "99999999999999999999"):
            refuse("1," + rate, ["--repeat[1]", rate])
            refuse(rate + ",1", ["--repeat[0]", rate])
        refuse("1,", ["--repeat[1]", "nothing"])
        refuse("1", ["--repeat", "2, not 1"])
        refuse("1,2,3", ["--repeat", "1,2,3", "2, not 3"])
        refuse("1/1000,1/1000", ["--repeat", "no sample", "epoch 0"])

    def test_samples_beyond_the_capacity_are_named_by_their_ids(self):
        self.write("b.json", samples(*[(1, 10)] * 39, (12, 10)))
        arguments = [*self.arguments, *self.CAPACITY, "--repeat", "1,3"]
        self.expect_failure(*arguments, naming=["images[99] = 12", "exceeds the capacity 9", "--oversize"])
        for oversize, packed in (("skip", 177), ("own_pack", 180)):
            made = self.succeed(*arguments, "--oversize", oversize)
            self.assertEqual((made["oversize"], made["packed"], made["drawn"]), ([99], packed, 180))
            measured = self.succeed("pack", "--lengths", "a.json", "b.json", "--evaluate", "p.json")
            del made["seconds"], measured["seconds"]
            self.assertEqual(measured, made)
        # Nobody draws the last sample in this epoch.
        _, packs = self.pack("--repeat", "1,1/4", "--oversize", "skip")
        drawn = [epoch for epoch in range(4) if self.succeed(
            *self.arguments, *self.CAPACITY, "--repeat", "1,1/4", "--oversize", "skip", "--epoch", epoch)["oversize"]]
        self.assertEqual(len(drawn), 1)
        self.pack("--repeat", "1,1/4", "--epoch", (drawn[0] + 1) % 4)

    def test_packs_are_measured_as_they_were_when_made(self):
        evaluate = ["pack", "--lengths", "a.json", "b.json", "--evaluate"]
        for more in ([], ["--epoch", 3, "--seed", 7], ["--method", "streaming"], ["--last-step", "pad"]):
            made, _ = self.pack("--repeat", "5/2,1/3", *more)
            measured = self.succeed(*evaluate, "p.json", "--out", "q.json")
            del made["seconds"], measured["seconds"]
            self.assertEqual(measured, made)
            self.assertEqual(self.read("q.json"), self.read("p.json"))

    def test_packs_of_another_mixture_are_refused(self):
        _, packs = self.pack("--repeat", "1,1/4")
        evaluate = lambda **changes: ["pack", "--lengths", "a.json", "b.json", "--evaluate",
                                      self.write("q.json", {**packs, **changes})]
        repeat = packs["repeat"]
        for change in ({"seed": 1}, {"epoch": 1}, {"rates": ["1", "1/2"]}, {"rates": ["2", "1/4"]}):
            self.expect_failure(*evaluate(repeat={**repeat, **change}), naming=["q.json: samples[", "mixture", "times"])
        for change, naming in (({"rates": ["1"]}, "rate for each"), ({"rates": ["1", "0"]}, "repeat[1] = 0"),
                               ({"rates": ["1", 2]}, "5/2"), ({"seed": -1}, "seed"), ({"epoch": 2**32}, "epoch")):
            self.expect_failure(*evaluate(repeat={**repeat, **change}), naming=naming)
        self.expect_failure(*evaluate(repeat=[]), naming="q.json: repeat")
        del packs["repeat"]
        self.expect_failure(*evaluate(), naming=["q.json: samples[", "must be in packs once"])


class BrokenPack(CommandTest):
    def setUp(self):
        super().setUp()
        self.table = self.write("a.json", samples((1, 300), (5, 1400)))

    def refuse(self, *arguments, naming, capacity="images=9,tokens=4096"):
        self.expect_failure("pack", "--lengths", self.table, "--capacity", capacity, "--out", "p.json", *arguments, naming=naming)

    def test_capacity(self):
        for text, naming in {"images=0,tokens=4096": "images = 0", "images=-9,tokens=4096": "images = -9",
                             "images=9": "tokens", "images=9,tokens=": "tokens", "images=9,tokens=4096,frames=3": "frames",
                             "images=9,tokens=4k": "4k", "9,4096": "images=9,tokens=4096", "atuo": "atuo",
                             "images=9,tokens=99999999999999999999": "99999999999999999999"}.items():
            self.refuse(capacity=text, naming=["--capacity", naming])
        self.expect_failure("pack", "--lengths", self.table, naming="--capacity")

    def test_numbers(self):
        for option in ("--dp", "--micro-batches", "--window"):
            for value in ("0", "-1", "x", "1.5", "99999999999"):
                self.refuse(option, value, naming=[option, value])
        for value in ("-1", "x", "9223372036854775808"):
            self.refuse("--seed", value, naming=["--seed", value])
            self.refuse("--epoch", value, naming=["--epoch", value])
        for value in ("0", "-1", "x", "4294967296"):
            self.refuse("--method", "isf", "--iterations", value, naming=["--iterations", value])
        for value in (0, -1, 2**20 + 1, "1.5"):
            self.refuse("--method", "streaming", "--buffer", value, naming=["--buffer", str(value)])
        self.refuse("--method", "streaming", "--age-limit", -1, naming=["--age-limit", "-1"])
        self.refuse("--method", "isf", "--stream", "published", "--seed", 2**32, naming=["seed", str(2**32)])
        for value in ("0", "-1", "x", "nan"):
            self.refuse("--target-samples-per-pack", value, capacity="auto", naming=["--target-samples-per-pack", value])
        self.refuse("--target-samples-per-pack", "1e300", capacity="auto", naming="--target-samples-per-pack")

    def test_choices(self):
        self.refuse("--method", "balansed", naming=["--method", "balansed", "did you mean balanced?"])
        for option, value, near in (("--last-step", "drpo", "drop"), ("--oversize", "skpi", "skip"),
                                    ("--stream", "publised", "published")):
            self.refuse("--method", "isf", option, value, naming=[option, value, f"did you mean {near}?"])

    def test_threshold(self):
        for text in ("images=0,tokens=1", "images=10,tokens=4096", "images=9", "images=9,tokens=-1", "x"):
            self.refuse("--method", "isf", "--threshold", text, naming="threshold")

    def test_options_without_a_meaning(self):
        self.refuse("--threshold", "images=1,tokens=1", naming=["--threshold", "--method isf"])
        self.refuse("--iterations", "5", naming=["--iterations", "--method isf"])
        self.refuse("--stream", "native", naming=["--stream", "--method isf"])
        self.refuse("--buffer", 9, naming=["--buffer", "--method streaming"])
        self.refuse("--method", "isf", "--age-limit", 9, naming=["--age-limit", "--method streaming"])
        self.refuse("--method", "isf", "--stream", "published", "--epoch", "1", naming=["--epoch", "--stream native"])
        self.refuse("--max", "tokens=5", naming=["--max", "--capacity auto"])
        self.refuse("--target-samples-per-pack", "5", naming=["--target-samples-per-pack", "--capacity auto"])
        self.refuse("--evaluate", "p.json", naming="--evaluate")


if __name__ == "__main__":
    main()
