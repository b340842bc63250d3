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
    return f'{{"format":"omnibal-execution","version":2,"sha256":"{digest}","plan":{text}}}\n'


class ExecutionTest(MainJobTest):
    def plan(self, *more, samples=40, dp=3, pp=2, schedule="1f1b", long=()):
        """The text of the execution of a small run, the last step of which leaves ranks idle."""
        draw = random.Random(5)
        rows = []
        for sample in range(samples):
            tiles = draw.randint(1, 4)
            tokens = 3000 if sample in long else 256 * tiles + draw.randint(20, 300)
            rows.append({"vit_num": tiles, "token_num": tokens, "label_num": draw.randint(0, 20)})
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

    @staticmethod
    def replace(plan, microbatches, devices):
        """Gives program 0 these items, with lanes of its own: one per device."""
        plan["programs"][0] = {"lanes": len(plan["lanes"]), "turns": ["0" * len(items) for items in devices]}
        plan["lanes"].append({"microbatches": microbatches, "devices": [[items] for items in devices]})

    def test_a_program_may_have_lanes_of_its_own(self):
        plan = json.loads(self.plan())["plan"]
        self.replace(plan, *execution_checker.expand(plan, plan["programs"][0]))
        self.assertEqual(execution_checker.check(written(plan)), [])
        self.write("execution.json", written(plan))
        self.write("measured.json", {"steps": [{"step": 0, "ranks": self.durations(plan, 0)}]})
        self.succeed("replay", "--execution", "execution.json", "--measured", "measured.json")

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

        microbatches, devices = execution_checker.expand(plan, plan["programs"][0])
        items = devices[1]
        places = [i for i, item in enumerate(items) if item[0] in MESSAGES]
        for first, second in zip(places, places[1:]):  # two messages of one pair of ranks swapped
            swapped = list(items)
            swapped[first], swapped[second] = items[second], items[first]
            mutate(lambda wrong, one=swapped: self.replace(wrong, microbatches, [devices[0], one]))
        for place in range(len(items)):  # an item dropped
            fewer = items[:place] + items[place + 1:]
            mutate(lambda wrong, one=fewer: self.replace(wrong, microbatches, [devices[0], one]))
        turns = plan["programs"][0]["turns"][1]
        for place in range(len(turns)):  # a turn dropped, one too many, one of no lane
            for other in (turns[:place] + turns[place + 1:], turns[:place] + "0" + turns[place:],
                          turns[:place] + "z" + turns[place + 1:]):
                mutate(lambda wrong, one=other: wrong["programs"][0]["turns"].__setitem__(1, one))
        step, replica = idle[0]
        program = plan["steps"][step]["replicas"][replica]["program"]
        mutate(lambda wrong: wrong["steps"][step]["replicas"].pop(replica))  # an idle rank forgotten
        mutate(lambda wrong: wrong["programs"][program]["turns"].__setitem__(0, ""))  # without its reductions
        mutate(lambda wrong: wrong["skipped"].append(0))
        mutate(lambda wrong: wrong["packs"][0]["samples"].append(wrong["packs"][1]["samples"][0]))
        mutate(lambda wrong: wrong["steps"][0]["replicas"][0]["packs"].pop())
        mutate(lambda wrong: wrong["stages"][1]["layers"].__setitem__(0, 0))
        for wrong in mutants:
            self.assertNotEqual(execution_checker.check(written(wrong)), [])
        self.write("measured.json", {"steps": []})
        for wrong in mutants[:2] + mutants[-7:]:
            self.write("wrong.json", written(wrong))
            self.expect_failure("replay", "--execution", "wrong.json", "--measured", "measured.json",
                                naming="wrong.json")

    def test_a_changed_file_or_an_unknown_kind_is_refused(self):
        text = self.plan()
        replay = ("replay", "--execution", "wrong.json", "--measured", "none.json")
        self.write("wrong.json", text.replace('"devices":2', '"devices":3', 1))
        self.assertNotEqual(execution_checker.check(text.replace('"devices":2', '"devices":3', 1)), [])
        self.expect_failure(*replay, naming=["sha256", "changed"])
        self.write("wrong.json", text.replace('"version":2', '"version":1', 1))
        self.expect_failure(*replay, naming="version")
        plan = json.loads(text)["plan"]
        plan["lanes"][0]["devices"][0][0][1][0] = "sideways"
        self.write("wrong.json", written(plan))
        self.expect_failure(*replay, naming=["lanes[0].devices[0][0][1]", "sideways"])

    def durations(self, plan, step):
        """Measured: a forward takes 3 ms, other operations 5 ms, messages 1 ms."""
        ranks = []
        for replica in plan["steps"][step]["replicas"]:
            for items in execution_checker.expand(plan, plan["programs"][replica["program"]])[1]:
                ranks.append([{"forward": 3_000_000, "backward": 5_000_000}.get(item[0], 1_000_000)
                              for item in items])
        return ranks

    @staticmethod
    def events(plan, step, ranks):
        """The durations as the events of a Chrome trace."""
        programs = [items for replica in plan["steps"][step]["replicas"]
                    for items in execution_checker.expand(plan, plan["programs"][replica["program"]])[1]]
        return [{"ph": "X", "name": f"{item[0]} {item[1]}" + (f".{item[2]}" if len(item) > 2 else ""),
                 "pid": rank, "tid": 0, "ts": 0, "dur": duration / 1000, "args": {"step": step}}
                for rank, items in enumerate(programs) for item, duration in zip(items, ranks[rank])]

    def test_a_trace_may_lack_what_empty_microbatches_need_not_run(self):
        plan = json.loads(self.plan("--virtual", 2, schedule="interleaved"))["plan"]
        step, replica = next((s, r) for s, step in enumerate(plan["steps"])
                             for r, one in enumerate(step["replicas"])
                             if len(one["packs"]) < plan["lanes"][plan["programs"][one["program"]]["lanes"]]["microbatches"])
        real = len(plan["steps"][step]["replicas"][replica]["packs"])
        ranks = range(replica * plan["devices"], (replica + 1) * plan["devices"])

        def is_empty(event):
            name = event["name"].partition(".")
            return event["pid"] in ranks and name[2] and int(name[2]) >= real

        events = self.events(plan, step, self.durations(plan, step))
        for event in events:
            if is_empty(event):
                event["dur"] = 0
        fewer = [event for event in events if not is_empty(event)]
        self.assertLess(len(fewer), len(events))
        self.write("events.json", events)
        self.write("fewer.json", fewer)
        replay = ("replay", "--execution", "execution.json", "--measured")
        self.assertEqual(self.succeed(*replay, "fewer.json"), self.succeed(*replay, "events.json"))

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
        events = self.events(plan, 0, ranks)
        self.write("events.json", {"traceEvents": events})
        self.assertEqual(self.succeed(*replay, "events.json"), report)
        self.write("events.json", {"traceEvents": events[1:]})
        self.expect_failure(*replay, "events.json", naming=["pid", "has no event named"])
        self.write("events.json", {"traceEvents": [*events, {**events[0], "name": "forward 0.77"}]})
        self.expect_failure(*replay, "events.json", naming=["pid = 0", "forward 0.77", "no item"])
        self.write("events.json", {"traceEvents": [*events, {**events[0], "pid": 44}]})
        self.expect_failure(*replay, "events.json", naming=["pid = 44", "no item"])
        ranks[0][0] = -1
        self.write("measured.json", {"steps": [{"step": 0, "ranks": ranks}]})
        self.expect_failure(*replay, "measured.json", naming=["steps[0].ranks[0][0]", "-1"])
        self.expect_failure(*replay, "measured.json", "--replica", 3, naming="--replica")

    def test_many_stages_and_many_replicas(self):
        for schedule, more, pp, dp, samples in (("1f1b", (), 2, 64, 500), ("gpipe", (), 32, 1, 40),
                                                ("interleaved", ("--virtual", 3), 4, 16, 260),
                                                ("zbh1", (), 32, 2, 90), ("zbv", (), 8, 3, 80)):
            with self.subTest(schedule):
                text = self.plan("--batch-tolerance", 0.5, "--time-limit", 3, *more, samples=samples,
                                 dp=dp, pp=pp, schedule=schedule)
                self.assertEqual(execution_checker.check(text), [])

    def test_samples_that_are_left_out_are_listed(self):
        for oversize, left_out in (("skip", [3, 20]), ("own_step", [])):
            plan = json.loads(self.plan("--oversize", oversize, long=(3, 20)))["plan"]
            self.assertEqual(plan["skipped"], left_out)
            self.assertEqual(plan["inputs"][0]["samples"], 40)
            self.assertEqual(execution_checker.check(self.read("execution.json").decode()), [])
            self.write("measured.json", {"steps": [{"step": 0, "ranks": self.durations(plan, 0)}]})
            self.succeed("replay", "--execution", "execution.json", "--measured", "measured.json")

    def test_options_that_need_others(self):
        self.expect_failure("plan", "--problem", "p.json", "--execution", "e.json", naming="--execution")
        self.expect_failure(*job("--labels", "x"), naming=["--labels", "--execution"])


if __name__ == "__main__":
    main()
