# SPDX-License-Identifier: Apache-2.0
"""omnibal plan --execution and omnibal replay, with a checker that shares no code with the command."""
import copy
import hashlib
import json
import random

import execution_checker
from command import main
from main_job import MainJobTest, job

MESSAGES = execution_checker.OTHER_END


def written(plan):
    """A file of this plan, with its hash."""
    text = json.dumps(plan, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"format":"omnibal-execution","version":1,"sha256":"{digest}","plan":{text}}}\n'


class ExecutionTest(MainJobTest):
    def plan(self, *more, samples=40, dp=3, pp=2, schedule="1f1b"):
        """The text of the execution of a small run, the last step of which leaves ranks idle."""
        draw = random.Random(5)
        rows = []
        for _ in range(samples):
            tiles = draw.randint(1, 4)
            rows.append({"vit_num": tiles, "token_num": 256 * tiles + draw.randint(20, 300),
                         "label_num": draw.randint(0, 20)})
        table = self.write("lengths.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        self.succeed(*job("--execution", "execution.json", "--schedule", schedule, *more, lengths=(table,),
                          dp=dp, pp=pp, tp=1, memory="800GiB", batch=12 * dp // 3, capacity="images=4,tokens=2048"))
        return self.read("execution.json").decode()

    def test_every_schedule_passes_the_checker(self):
        for schedule, more in (("1f1b", ()), ("gpipe", ("--shard-optimizer",)), ("zbh1", ()), ("zbv", ()),
                               ("interleaved", ("--virtual", "2", "--execution-order", "mean"))):
            with self.subTest(schedule):
                text = self.plan("--labels", "label_num", *more, schedule=schedule)
                self.assertEqual(execution_checker.check(text), [])
                plan = json.loads(text)["plan"]
                rows = [json.loads(line) for line in self.read("lengths.jsonl").splitlines()]
                for pack in plan["packs"]:
                    self.assertEqual(pack["label_tokens"], sum(rows[k]["label_num"] for k in pack["samples"]))
                    self.assertEqual(pack["workload"][0], sum(rows[k]["vit_num"] for k in pack["samples"]))

    def test_mutants_are_noticed_by_the_checker_and_by_the_command(self):
        plan = json.loads(self.plan())["plan"]
        self.assertEqual(execution_checker.check(written(plan)), [])
        idle = [(s, r) for s, step in enumerate(plan["steps"]) for r, one in enumerate(step["replicas"])
                if not one["packs"]]
        self.assertTrue(idle)
        mutants = []

        def mutate(change):
            mutants.append(copy.deepcopy(plan))
            change(mutants[-1])

        items = plan["programs"][0]["devices"][1]
        places = [i for i, item in enumerate(items) if item[0] in MESSAGES]
        for first, second in zip(places, places[1:]):  # two messages of one pair of ranks swapped
            def swap(wrong, i=first, j=second):
                mine = wrong["programs"][0]["devices"][1]
                mine[i], mine[j] = mine[j], mine[i]
            mutate(swap)
        for place in range(len(items)):  # an item dropped
            mutate(lambda wrong, i=place: wrong["programs"][0]["devices"][1].pop(i))
        step, replica = idle[0]
        program = plan["steps"][step]["replicas"][replica]["program"]
        mutate(lambda wrong: wrong["steps"][step]["replicas"].pop(replica))  # an idle rank forgotten
        mutate(lambda wrong: wrong["programs"][program]["devices"][0].clear())  # without its reductions
        mutate(lambda wrong: wrong["packs"][0]["samples"].append(wrong["packs"][1]["samples"][0]))
        mutate(lambda wrong: wrong["steps"][0]["replicas"][0]["packs"].pop())
        mutate(lambda wrong: wrong["stages"][1]["layers"].__setitem__(0, 0))
        for wrong in mutants:
            self.assertNotEqual(execution_checker.check(written(wrong)), [])
        self.write("measured.json", {"steps": []})
        for wrong in mutants[:2] + mutants[-6:]:
            self.write("wrong.json", written(wrong))
            self.expect_failure("replay", "--execution", "wrong.json", "--measured", "measured.json",
                                naming="wrong.json")

    def test_a_changed_file_or_an_unknown_kind_is_refused(self):
        text = self.plan()
        replay = ("replay", "--execution", "wrong.json", "--measured", "none.json")
        self.write("wrong.json", text.replace('"devices":2', '"devices":3', 1))
        self.assertNotEqual(execution_checker.check(text.replace('"devices":2', '"devices":3', 1)), [])
        self.expect_failure(*replay, naming=["sha256", "changed"])
        self.write("wrong.json", text.replace('"version":1', '"version":2', 1))
        self.expect_failure(*replay, naming="version")
        plan = json.loads(text)["plan"]
        plan["programs"][0]["devices"][0][0][0] = "sideways"
        self.write("wrong.json", written(plan))
        self.expect_failure(*replay, naming=["programs[0].devices[0][0]", "sideways"])

    def durations(self, plan, step):
        """Measured: a forward takes 3 ms, other operations 5 ms, messages 1 ms."""
        ranks = []
        for replica in plan["steps"][step]["replicas"]:
            for items in plan["programs"][replica["program"]]["devices"]:
                ranks.append([{"forward": 3_000_000, "backward": 5_000_000}.get(item[0], 1_000_000)
                              for item in items])
        return ranks

    def test_replay(self):
        plan = json.loads(self.plan())["plan"]
        ranks = self.durations(plan, 0)
        self.write("measured.json", {"steps": [{"step": 0, "ranks": ranks}]})
        replay = ("replay", "--execution", "execution.json", "--measured")
        report = self.succeed(*replay, "measured.json", "--trace", "trace.json", "--svg", "step.svg")
        step = report["steps"][0]
        self.assertGreater(step["makespan"], 5_000_000)
        self.assertGreaterEqual(step["predicted_makespan"], plan["steps"][0]["time"])
        self.assertTrue(step["waits"])
        self.assertIn(b"measured", self.read("step.svg"))
        self.assertIn(b"predicted", self.read("step.svg"))
        groups = {event["pid"] for event in json.loads(self.read("trace.json"))["traceEvents"]}
        self.assertEqual(groups, {0, 1})

        # The same durations as a trace.
        events = []
        programs = [items for replica in plan["steps"][0]["replicas"]
                    for items in plan["programs"][replica["program"]]["devices"]]
        for rank, items in enumerate(programs):
            for item, duration in zip(items, ranks[rank]):
                name = f"{item[0]} {item[1]}" + (f".{item[2]}" if len(item) > 2 else "")
                events.append({"ph": "X", "name": name, "pid": rank, "tid": 0, "ts": 0, "dur": duration / 1000})
        self.write("events.json", {"traceEvents": events})
        self.assertEqual(self.succeed(*replay, "events.json"), report)
        self.write("events.json", {"traceEvents": events[1:]})
        self.expect_failure(*replay, "events.json", naming=["pid", "has no event named"])
        ranks[0][0] = -1
        self.write("measured.json", {"steps": [{"step": 0, "ranks": ranks}]})
        self.expect_failure(*replay, "measured.json", naming=["steps[0].ranks[0][0]", "-1"])
        self.expect_failure(*replay, "measured.json", "--replica", 3, naming="--replica")

    def test_options_that_need_others(self):
        self.expect_failure("plan", "--problem", "p.json", "--execution", "e.json", naming="--execution")
        self.expect_failure(*job("--labels", "x"), naming=["--labels", "--execution"])


if __name__ == "__main__":
    main()
