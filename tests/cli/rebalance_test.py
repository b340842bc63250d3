# SPDX-License-Identifier: Apache-2.0
"""rebalance."""
import json
import random

from command import CommandTest, main


def sample(rank, cost=1, bytes=1, **more):
    return {"rank": rank, "cost": cost, "bytes": bytes, **more}


def random_table(ranks=8, each=4, seed=1):
    draw = random.Random(seed)
    return {"ranks": ranks, "note": "is ignored",
            "samples": [{"rank": s // each, "images": draw.randint(1, 5), "tokens": draw.randint(300, 1500),
                         "bytes": draw.randint(1, 1000)} for s in range(ranks * each)]}


class Rebalance(CommandTest):
    def check(self, table, report, cost):
        """Carries the moves out and holds the outcome against the report."""
        load = [0] * table["ranks"]
        for one in table["samples"]:
            load[one["rank"]] += cost(one)
        mean = sum(load) / len(load)
        self.assertAlmostEqual(report["cost_ratio_before"], max(load) / mean)
        sent = 0
        for move in report["moves"]:
            one = table["samples"][move["sample"]]
            self.assertEqual(one["rank"], move["from"])
            load[move["from"]] -= cost(one)
            load[move["to"]] += cost(one)
            sent += one["bytes"]
        self.assertEqual((report["cost"], report["bytes"]), (max(load), sent))
        self.assertAlmostEqual(report["cost_ratio"], max(load) / mean)
        self.assertLessEqual(report["bytes_bound"], report["bytes"])
        self.assertLessEqual(report["bound"], report["objective"])
        self.assertLessEqual(report["objective"], report["cost"])
        frontier = report["frontier"]
        self.assertEqual(frontier[0]["bytes"], 0)
        self.assertEqual(frontier[-1]["cost"], report["objective"])
        for costly, cheaper in zip(frontier, frontier[1:]):
            self.assertGreater(costly["cost"], cheaper["cost"])
            self.assertLess(costly["bytes"], cheaper["bytes"])
        self.assertIn({"cost": report["cost"], "cost_ratio": report["cost_ratio"], "bytes": report["bytes"],
                       "moves": len(report["moves"])}, frontier)

    def test_answer(self):
        table = {"ranks": 3, "samples": [sample(0, 5, 9), sample(0, 4, 2), sample(1, 4, 7)]}
        report = self.succeed("rebalance", "--table", self.write("t.json", table), "--out", "moves.json")
        self.assertEqual(report["moves"], [{"sample": 1, "from": 0, "to": 2}])
        self.assertEqual((report["status"], report["objective"], report["bound"], report["gap"]), ("optimal", 5, 5, 0))
        self.assertEqual((report["ranks"], report["samples"], report["bytes"], report["bytes_bound"]), (3, 3, 2, 2))
        self.assertEqual([(p["cost"], p["bytes"], p["moves"]) for p in report["frontier"]], [(9, 0, 0), (5, 2, 1)])
        self.assertEqual(json.loads(self.read("moves.json")), report)
        self.check(table, report, lambda one: one["cost"])

    def test_one_resource_or_several(self):
        table = random_table()
        name = self.write("t.json", table)
        for options, cost in [(["--resource", "images"], lambda one: one["images"]),
                              (["--resource", "tokens"], lambda one: one["tokens"]),
                              (["--weights", "images=12000,tokens=39"],
                               lambda one: 12000 * one["images"] + 39 * one["tokens"])]:
            report = self.succeed("rebalance", "--table", name, *options)
            self.check(table, report, cost)
            self.assertLess(report["cost_ratio"], report["cost_ratio_before"])

    def test_tolerance_saves_bytes(self):
        name = self.write("t.json", random_table(16))
        sent = [self.succeed("rebalance", "--table", name, "--resource", "tokens", "--tolerance", t)["bytes"]
                for t in ("0", "0.01", "0.1", "1")]
        self.assertEqual(sent, sorted(sent, reverse=True))
        self.assertGreater(sent[0], sent[2])
        self.assertEqual(sent[3], 0)

    def test_same_report_every_time(self):
        name = self.write("t.json", random_table(64))
        reports = [self.succeed("rebalance", "--table", name, "--resource", "tokens") for _ in range(2)]
        for report in reports:
            del report["seconds"]
        self.assertEqual(*reports)

    def test_ranks_with_nothing_and_no_samples(self):
        report = self.succeed("rebalance", "--table", self.write("t.json", {"ranks": 4, "samples": []}))
        self.assertEqual((report["cost_ratio"], report["moves"], report["status"]), (1, [], "optimal"))
        table = {"ranks": 4, "samples": [sample(3)] * 4}
        report = self.succeed("rebalance", "--table", self.write("t.json", table))
        self.assertEqual((report["cost_ratio_before"], report["cost_ratio"], len(report["moves"])), (4, 1, 3))

    def test_text_is_for_people(self):
        done = self.call("rebalance", "--table", self.write("t.json", random_table()), "--resource", "tokens",
                         "--format", "text")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ["cost ratio before", "Pareto-optimal plans\n", "moves\n", "sample  from  to"]:
            self.assertIn(word, done.stdout)

    def test_bad_input(self):
        def table(*samples, **more):
            return {"ranks": 2, "samples": list(samples), **more}

        for content, words in [(table(sample(2)), ["t.json: samples[0].rank", "2", "from 0 to 1"]),
                               (table(sample(0), sample(-1)), ["samples[1].rank", "-1"]),
                               (table(sample(0, cost=-1)), ["samples[0].cost", "-1"]),
                               (table(sample(0, cost=1.5)), ["samples[0].cost", "1.5"]),
                               (table(sample(0, cost="1")), ["samples[0].cost", '"1"']),
                               (table(sample(0, cost=2**63)), ["samples[0].cost", str(2**63)]),
                               (table(sample(0, cost=2**62), sample(0, cost=2**62)), ["cost[1]", str(2**62)]),
                               (table(sample(0, bytes=-1)), ["samples[0].bytes", "-1"]),
                               (table({"rank": 0, "cost": 1}), ["samples[0].bytes", "missing"]),
                               (table({"rank": 0, "bytes": 1}), ["samples[0].cost", "missing"]),
                               (table({"cost": 0, "bytes": 1}), ["samples[0].rank", "missing"]),
                               (table(5), ["samples[0]", "5", "object"]),
                               (table(ranks=0), ["t.json: ranks", "0"]),
                               (table(ranks=2**32), ["ranks", str(2**32)]),
                               ({"samples": []}, ["ranks", "missing"]), ({"ranks": 1}, ["samples", "missing"]),
                               ({"ranks": 1, "samples": {}}, ["samples", "list"]),
                               ([], ["t.json", "object"]), ("{", ["t.json"])]:
            self.expect_failure("rebalance", "--table", self.write("t.json", content), naming=words)

    def test_bad_options(self):
        name = self.write("t.json", random_table())
        for options, words in [(["--resource", "audio"], ["samples[0].audio", "missing"]),
                               (["--weights", "images=1,audio=2"], ["samples[0].audio", "missing"]),
                               (["--weights", "images"], ["--weights", "images"]),
                               (["--weights", "images=1,images=2"], ["--weights"]),
                               (["--weights", "images=-1"], ["--weights", "-1"]),
                               (["--weights", f"images={2**62}"], ["samples[", ".images", "2^63"]),
                               (["--weights", "images=1", "--resource", "images"], ["--resource", "--weights"]),
                               (["--resource", "images", "--tolerance", "2"], ["--tolerance", "2"]),
                               (["--resource", "images", "--tolerance", "0.0000001"], ["--tolerance", "six"]),
                               (["--resorce", "images"], ["--resorce", "--resource"]),
                               ([], ["samples[0].cost", "missing"])]:
            self.expect_failure("rebalance", "--table", name, *options, naming=words)
        self.expect_failure("rebalance", naming="--table")
        self.expect_failure("rebalance", "--table", "none.json", naming=["--table", "none.json"])
        self.expect_failure("rebalance", "--table", name, "--resource", "images", "--out", "no/such.json",
                            naming="no/such.json", status=4)


if __name__ == "__main__":
    main()
