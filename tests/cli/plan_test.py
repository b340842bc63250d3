# SPDX-License-Identifier: Apache-2.0
"""The main job: omnibal plan --lengths."""
import html.parser
import json

from command import main, samples
from main_job import TABLE, MainJobTest, job


class PageReader(html.parser.HTMLParser):
    """Elements left open, the text, and whatever would be fetched from elsewhere."""
    EMPTY = ("meta", "rect")

    def __init__(self):
        super().__init__()
        self.open, self.text, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.links += [value for key, value in attributes if key in ("src", "href")]

    def handle_endtag(self, tag):
        if tag not in self.EMPTY and self.open.pop() != tag:
            raise ValueError(f"{tag} closes nothing")

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        self.text.append(data)


class MainJob(MainJobTest):
    def test_report(self):
        report = self.succeed(*job(capacity="auto"))
        self.check_order(report)
        for column in ("naive", "unbalanced", "published", "planned"):
            figures = report[column]
            for key in ("step_seconds", "epoch_seconds", "steps", "samples_per_step", "bubble_ratio", "rank_wait_ratio",
                        "pad_ratio", "dist_ratio", "cost_ratio", "peak_memory", "cuts", "recomputed_layers"):
                self.assertIn(key, figures, column)
            self.assertLessEqual(0, figures["rank_wait_ratio"])
            self.assertLessEqual(figures["rank_wait_ratio"], figures["bubble_ratio"])  # shares of one base
            self.assertAlmostEqual(figures["step_seconds"] * figures["steps"], figures["epoch_seconds"])
            self.assertEqual(len(figures["peak_memory"]), 4)
            self.assertEqual(len(figures["cuts"]), 5)
        planned = report["planned"]
        self.assertGreater(planned["order_gain"], 1)
        self.assertEqual(report["published"]["order_gain"], 1)
        self.assertLessEqual(max(planned["peak_memory"]), 80 * 2**30)
        self.assertLessEqual(planned["packs_bound"], planned["packs"])
        self.assertLessEqual(report["bound"]["fill_and_drain_seconds"], report["bound"]["epoch_seconds"])
        for rival in ("naive", "unbalanced", "published"):
            self.assertAlmostEqual(report["speedup"]["over_" + rival],
                                   report[rival]["epoch_seconds"] / planned["epoch_seconds"])
        self.assertEqual([row["name"] for row in report["ablation"]],
                         ["unbalanced", "+ data", "+ partition", "+ recomputation", "joint"])
        self.assertEqual(report["inputs"][0]["samples"], report["samples"])
        self.assertTrue(report["assumptions"])

    def test_text_has_the_same_figures(self):
        done = self.call(*job("--format", "text"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = self.succeed(*job())
        for words in ("naive", "unbalanced", "paper", "planned", "lower bound", "Assumptions",
                      f"{report['speedup']['over_naive']:.2f} times as fast as naive",
                      f"{report['speedup']['over_unbalanced']:.2f} times as fast as unbalanced",
                      f"{report['speedup']['over_published']:.2f} times as fast as the paper's method"):
            self.assertIn(words, done.stdout)

    def test_naive_has_the_vision_tower_on_the_first_stage(self):
        report = self.succeed(*job())
        self.assertEqual(report["naive"]["cuts"], [0, 47 + 12, 71, 83, 96])  # 45 vision, projector, embedding
        self.assertGreater(report["naive"]["epoch_seconds"], report["unbalanced"]["epoch_seconds"])
        self.assertTrue(report["planned"]["keeps_constraints"])

    def test_together_keeps_layers_on_one_stage(self):
        report = self.succeed(*job("--together", "vision"))
        self.assertGreaterEqual(report["planned"]["cuts"][1], 45)
        for column in ("naive", "unbalanced", "published", "planned"):
            self.assertTrue(report[column]["keeps_constraints"], column)
        report = self.succeed(*job("--together", "0-50", "--shard-optimizer"))  # of which unbalanced has 47 on its first stage
        self.assertEqual([report[column]["keeps_constraints"] for column in ("naive", "unbalanced", "planned")],
                         [True, False, True])
        report = self.succeed(*job("--together", "0-5", "--together", "vision,projector"))
        self.assertGreaterEqual(report["planned"]["cuts"][1], 46)
        text = self.call(*job("--together", "0-50", "--shard-optimizer", "--format", "text")).stdout
        self.assertIn("unbalanced does not keep layers on the stages asked for.", text)

    def test_a_shape_that_misses_the_batch_proves_nothing_where_others_were_not_tried(self):
        rows = "".join(f"s{i},{i % 2},{100 + 37 * i}\n" for i in range(12))
        self.write("few.csv", "id,vit_num,token_num\n" + rows)
        arguments = ["plan", "--lengths", "few.csv", "--model", "llava-1.5-7b", "--gpus", 8, "--memory", "80GiB",
                     "--global-batch", 7, "--schedule", "interleaved", "--virtual", 2, "--shard-optimizer"]
        self.assertEqual(self.succeed(*arguments)["status"], "feasible")
        report = json.loads(self.call(*arguments, "--time-limit", 0, "--format", "json").stdout)
        self.assertEqual((report["status"], report["limit"]), ("stopped", "stop"))

    def test_vision_stages(self):
        for stages in (1, 2):
            cuts = self.succeed(*job("--vision-stages", stages, "--shard-optimizer"))["planned"]["cuts"]
            self.assertEqual(cuts[stages], 46)
        report = self.succeed(*job("--vision-stages", 4), status=3)
        self.assertEqual(report["reason"], "together_and_apart")
        self.assertIn("--vision-stages 3", report["suggestion"])
        report = self.succeed(*job("--vision-stages", 1, pp=1), status=3)
        self.assertIn("use more (virtual) stages", report["suggestion"])
        report = self.succeed(*job("--together", "0-93"), status=3)
        self.assertIn("at most 3", report["suggestion"])
        for wrong in (("--together", "sight"), ("--together", "3-999"), ("--together", "5-3"), ("--together", ""),
                      ("--vision-stages", "0")):
            self.expect_failure(*job(*wrong), naming=wrong[0])

    def test_current_layout_is_a_strategy(self):
        self.succeed(*job("--out", "today.json", capacity="images=9,tokens=4096"))
        report = self.succeed(*job("--current", "today.json"))
        today = json.loads(self.read("today.json"))
        self.assertEqual(report["current"]["cuts"], today["cuts"])
        self.assertAlmostEqual(report["current"]["epoch_seconds"], today["planned"]["epoch_seconds"])
        self.assertAlmostEqual(report["speedup"]["over_current"],
                               report["current"]["epoch_seconds"] / report["planned"]["epoch_seconds"])
        layout = {key: today[key] for key in ("model", "dp", "pp", "tp", "schedule", "virtual", "cuts", "modes")}
        layout["cuts"] = report["naive"]["cuts"]
        layout["modes"] = ["full" if name.startswith(("vision", "language")) else mode
                           for name, mode in zip(today["layers"], today["modes"])]
        self.write("layout.json", json.dumps(layout))
        report = self.succeed(*job("--current", "layout.json"))
        self.assertAlmostEqual(report["current"]["epoch_seconds"], report["naive"]["epoch_seconds"])
        for key, value in (("pp", 8), ("schedule", "none"), ("virtual", 0), ("cuts", [0, 1, 2, 3, 4])):
            self.write("layout.json", json.dumps({**layout, key: value}))
            self.expect_failure(*job("--current", "layout.json"), naming=key)

    def test_schedule_is_searched_for(self):
        report = self.succeed(*job("--schedule", "auto", "--allow", "1f1b,interleaved,zbv", "--virtual", 2,
                                   "--report", "plan.html"))
        tried = [(row["schedule"], row["virtual"]) for row in report["schedules"]]
        self.assertEqual(sorted(tried), [("1f1b", 1), ("interleaved", 2), ("zbv", 2)])
        self.assertEqual((report["schedule"], report["virtual"]), tried[0])
        times = [row["seconds_per_sample"] for row in report["schedules"]
                 if row["seconds_per_sample"] is not None]
        self.assertGreater(len(times), 1)
        self.assertEqual(times, sorted(times))
        alone = self.succeed(*job("--schedule", tried[0][0], "--virtual", tried[0][1]))
        self.assertEqual(report["planned"], alone["planned"])
        self.assertIn("Schedules tried", self.read("plan.html").decode())
        for wrong in (("--allow", "1f1b"), ("--schedule", "auto", "--allow", "1f1b,best"), ("--schedule", "fastest"),
                      ("--schedule", "auto", "--evaluate", TABLE)):
            self.expect_failure(*job(*wrong), naming=wrong[-2])
        self.expect_failure("plan", "--lengths", TABLE, "--model", "internvl-chat-1.5", "--gpus", 64,
                            "--global-batch", 256, "--schedule", "auto", naming=("--gpus", "--schedule"))

    def test_plan_file_holds_every_sample_once_and_every_pack_in_one_place(self):
        self.succeed(*job("--out", "plan.json"))
        plan = json.loads(self.read("plan.json"))
        with open(TABLE, encoding="utf-8") as file:
            table = json.load(file)
        self.assertEqual(sorted(plan["indices"]), list(range(len(table))))
        packs = [plan["indices"][a:b] for a, b in zip(plan["offsets"], plan["offsets"][1:])]
        for pack in packs:
            self.assertLessEqual(sum(table[i]["vit_num"] for i in pack), plan["capacity"]["images"])
            self.assertLessEqual(sum(table[i]["token_num"] for i in pack), plan["capacity"]["tokens"])
        placed = sorted(k for step in plan["steps"] for rank in step for k in rank)
        self.assertEqual(placed, list(range(len(packs))))
        self.assertEqual(len(plan["modes"]), len(plan["layers"]))
        self.assertEqual(plan["cuts"][-1], len(plan["layers"]))
        self.assertEqual(plan["inputs"][0]["samples"], len(table))
        measured = self.succeed("pack", "--lengths", TABLE, "--evaluate", "plan.json")
        self.assertEqual((measured["packs"], measured["steps"]), (len(packs), len(plan["steps"])))

    def test_megatron_arguments_say_where_the_layers_are(self):
        report = self.succeed(*job("--shard-optimizer", "--out", "plan.json"))
        plan = json.loads(self.read("plan.json"))
        self.assertEqual(plan["megatron"], report["megatron"])
        arguments = report["megatron"]["arguments"]
        self.assertIn("--use-distributed-optimizer", arguments)
        flags = dict(zip(arguments, arguments[1:]))
        self.assertEqual((flags["--tensor-model-parallel-size"], flags["--pipeline-model-parallel-size"]), ("2", "4"))
        layers = [plan["layers"][a:b] for a, b in zip(plan["cuts"], plan["cuts"][1:])]
        layout = []
        for stage in layers:
            count = sum(name.startswith("language") for name in stage)
            layout.append(("E" if "embedding" in stage else "") +
                          ("" if count == 0 else "t" if count == 1 else f"t*{count}") + ("L" if "head" in stage else ""))
        self.assertEqual(flags["--pipeline-model-parallel-layout"], "|".join(layout))
        self.assertEqual(flags["--num-layers"], str(sum(name.startswith("language") for name in plan["layers"])))
        self.assertEqual(report["megatron"]["vision_layers"],
                         [sum(name.startswith("vision") for name in stage) for stage in layers])
        self.assertTrue(report["megatron"]["warnings"])
        text = self.call(*job("--shard-optimizer", "--format", "text")).stdout
        self.assertIn("--pipeline-model-parallel-layout '" + "|".join(layout) + "'", text)

    def test_report_is_one_sound_page(self):
        name = self.write("<a>&b.json", self.read_table())
        for more in ((), ("--schedule", "interleaved", "--virtual", 2), ("--schedule", "zbh1", "--shard-optimizer")):
            with self.subTest(more=more):
                report = self.succeed(*job("--report", "plan.html", *more, lengths=(name,)))
                page = self.read("plan.html").decode()
                reader = PageReader()
                reader.feed(page)
                reader.close()
                self.assertEqual(reader.open, [])
                self.assertEqual(reader.links, [])
                text = " ".join(reader.text)
                for words in ("internvl-chat-1.5 on 64 a100", name, report["assumptions"][0],
                              report["inputs"][0]["sha256"], "--pipeline-model-parallel-layout",
                              f"{report['speedup']['over_unbalanced']:.2f} times as fast as unbalanced"):
                    self.assertIn(words, text)
                self.assertEqual("weight gradient" in text, "zbh1" in more)
        self.succeed(*job("--report", "again.html", *more, lengths=(name,)))
        self.assertEqual(self.read("again.html").decode(), page)

    def read_table(self):
        with open(TABLE, encoding="utf-8") as file:
            return file.read()

    def test_report_needs_a_plan(self):
        self.expect_failure(*job("--report", "missing/plan.html"), naming="missing/plan.html", status=4)
        self.expect_failure("plan", "--problem", "p.json", "--report", "plan.html", naming="--report")
        self.succeed(*job("--report", "plan.html", memory="8GiB"), status=3)
        self.assertNotIn("plan.html", self.files())

    def test_time_limit(self):
        report = self.succeed(*job("--time-limit", 0, "--out", "plan.json", capacity="auto"))
        self.assertEqual(report["status"], "stopped")
        self.check_order(report)
        self.assertEqual(len(report["capacities"]), 1)
        self.assertEqual([row["name"] for row in report["ablation"]], ["unbalanced", "joint"])
        self.assertEqual(self.succeed(*job("--time-limit", 1000))["status"], "feasible")

    def test_time_limit_where_nothing_fits_proves_nothing(self):
        cluster = ("--gpus", 64, "--schedule", "1f1b")
        searched = job("--time-limit", 0, memory="7GiB", capacity="auto")
        for option in ("--dp", "--pp", "--tp"):
            at = searched.index(option)
            del searched[at:at + 2]
        for words in (job("--schedule", "auto", "--time-limit", 0, memory="7GiB", capacity="auto"),
                      [*searched, *cluster]):
            report = self.succeed(*words, status=3)
            self.assertEqual((report["status"], report["limit"]), ("stopped", "stop"))
            self.assertIn("--time-limit", report["suggestion"])
        report = self.succeed(*job(memory="7GiB"), status=3)
        self.assertEqual((report["status"], report["reason"]), ("infeasible", "memory"))

    def test_same_seed_same_bytes(self):
        for name in ("a.json", "b.json"):
            self.succeed(*job("--out", name, capacity="auto", model="internvl2-8b"))
        self.assertEqual(self.read("a.json"), self.read("b.json"))
        self.succeed(*job("--seed", 7, "--out", "c.json"))
        self.assertNotEqual(self.read("a.json"), self.read("c.json"))

    def test_a_margin_may_be_a_percentage(self):
        self.assertEqual(self.succeed(*job("--margin", "5%"))["margin"], 0.05)

    def test_every_option_has_an_effect(self):
        plain = self.succeed(*job())["planned"]
        for more in (["--device", "h100"], ["--shard-optimizer"], ["--sequence-parallel"],
                     ["--freeze", "vision"], ["--freeze", "language"], ["--optimizer-bytes", 8],
                     ["--schedule", "gpipe"], ["--reserve", "1GiB"], ["--margin", 0.3], ["--seed", 5]):
            changed = self.succeed(*job(*more))["planned"]
            self.assertNotEqual(changed, plain, more)
        self.assertNotEqual(self.succeed(*job(capacity="images=8,tokens=4096"))["planned"], plain)

    def test_capacity_is_searched_for_where_none_is_given(self):
        with open(TABLE, encoding="utf-8") as table:
            self.write("part.json", json.load(table)[:500])
        part = {"lengths": ["part.json"], "model": "internvl2-8b", "dp": 2, "batch": 64}
        words = job(capacity="auto", **part)
        searched = self.succeed(*words)
        del words[words.index("--capacity"):]
        self.assertEqual(self.succeed(*words)["planned"], searched["planned"])
        fixed = self.succeed(*job(**part))
        self.assertLessEqual(searched["planned"]["epoch_seconds"], fixed["planned"]["epoch_seconds"])

    def test_every_model(self):
        for model in ("internvl2-8b", "llava-1.5-7b", "llava-1.5-13b", "llava-onevision-7b", "qwen2-vl-7b",
                      "qwen2.5-vl-7b"):
            self.check_order(self.succeed(*job(model=model)))
        for model in ("internvl2-40b", "internvl2-llama3-76b"):
            self.check_order(self.succeed(*job("--shard-optimizer", "--sequence-parallel", model=model, pp=8, tp=4)))

    def test_model_and_device_files(self):
        model = {"id": "mine", "vision": {"layers": 4, "hidden": 256, "a": 4, "ffn": 1024},
                 "llm": {"layers": 6, "hidden": 512, "a": 8, "kv": 8, "ffn": 2048, "vocab": 1000},
                 "projector_mlp": [[256, 512], [512, 512]], "vit_tokens_per_tile": 257, "llm_tokens_per_tile": 256}
        self.write("mine.json", model)
        self.write("list.json", {"models": [{**model, "id": "other"}, model]})
        device = {"memory_bytes": 2**34, "matrix_flops": 1e14, "attention_flops": 1e14, "memory_bandwidth": 1e12,
                  "tensor_parallel_bandwidth": 1e11, "pipeline_bandwidth": 1e10, "data_parallel_bandwidth": 1e10,
                  "latency_seconds": 1e-5, "layer_overhead_seconds": 0}
        self.write("device.json", device)
        report = self.succeed(*job("--device", "device.json", model="mine.json", memory="16GiB"))
        self.assertEqual(report["model"], "mine")
        self.assertEqual(self.succeed(*job("--device", "device.json", model="list.json#mine", memory="16GiB"))["planned"],
                         report["planned"])
        self.expect_failure(*job(model="list.json"), naming=["list.json", "#ID"])
        self.expect_failure(*job(model="list.json#minne"), naming=["minne", "mine"])
        self.write("bad.json", {**model, "llm": {**model["llm"], "kv": 3}})
        self.expect_failure(*job(model="bad.json"), naming=["llm.kv", "3"])
        self.write("bad.json", {**device, "matrix_flops": 0})
        self.expect_failure(*job("--device", "bad.json"), naming=["matrix_flops", "0"])

    def test_infeasible_memory_says_what_to_do_and_writes_nothing(self):
        report = self.succeed(*job("--out", "plan.json", memory="40GiB"), status=3)
        self.assertEqual((report["status"], report["reason"]), ("infeasible", "memory"))
        self.assertGreater(report["bytes_short"], 0)
        self.assertEqual(self.files(), [])
        text = self.call(*job("--format", "text", memory="40GiB"))
        self.assertEqual(text.returncode, 3)
        self.assertIn("lacks", text.stdout)

    def test_samples_that_nothing_has_memory_for_are_left_out(self):
        rows = [(1 + i % 5, 256 * (1 + i % 5) + 100 + i % 37) for i in range(240)]
        rows[7] = (0, 20000)
        rows[50] = (0, 5000000)
        self.write("long.json", samples(*rows))

        def run(*more):
            return ["plan", "--lengths", "long.json", "--model", "internvl2-8b", "--dp", 2, "--pp", 4, "--memory", "80GiB",
                    "--global-batch", 48, *more]
        self.assertEqual(self.succeed(*run(), status=3)["reason"], "memory")
        report = self.succeed(*run("--oversize", "skip", "--out", "plan.json"))
        self.assertEqual(report["skipped"], [50])
        self.assertIn("1 sample is larger than any plan found has memory for and in no strategy's epoch",
                      report["assumptions"])
        again = self.succeed(*run("--evaluate", "plan.json"))
        self.assertEqual(again["skipped"], [50])
        self.assertEqual(again["objective"], report["objective"])
        self.assertIn("leaves out 1 of 240 samples", self.call(*run("--evaluate", "plan.json", "--format", "text")).stdout)
        today = self.succeed(*run("--oversize", "skip", "--current", "plan.json"))["current"]
        self.assertAlmostEqual(today["epoch_seconds"], report["objective"])
        self.expect_failure(*run("--current", "plan.json", "--time-limit", 0), naming=["--current = 50", "none of its packs"])
        self.expect_failure(*run("--oversize", "skip", "--capacity", "images=1,tokens=1"), naming=["--capacity", "holds no sample"])
        plan = json.loads(self.read("plan.json"))
        for wrong, words in (([], ["indices = 50", "in no pack"]), ([7], ["skipped[0] = 7"]), ([50, 50], ["skipped[1] = 50"]),
                             ("all", ["skipped", "must be a list"]), ([-1], ["skipped[0] = -1", "must be the id"])):
            self.write("wrong.json", {**plan, "skipped": wrong})
            self.expect_failure(*run("--evaluate", "wrong.json"), naming=words)

    def test_evaluate(self):
        planned = self.succeed(*job("--out", "plan.json"))["planned"]
        report = self.succeed(*job("--evaluate", "plan.json"))
        self.assertEqual(report["status"], "feasible")
        self.assertEqual(report["objective"], planned["epoch_seconds"])
        self.assertEqual(report["promised_epoch_seconds"], planned["epoch_seconds"])
        self.assertEqual(report["evaluated"]["peak_memory"], planned["peak_memory"])
        self.assertLessEqual(report["bound_seconds"], report["objective"])
        faster = self.succeed(*job("--evaluate", "plan.json", "--device", "h100"))
        self.assertLess(faster["objective"], faster["promised_epoch_seconds"])
        short = self.succeed(*job("--evaluate", "plan.json", memory="40GiB"), status=3)
        self.assertEqual(short["reason"], "memory")
        self.assertIn("when it was made", self.call(*job("--evaluate", "plan.json", "--format", "text")).stdout)
        self.expect_failure(*job("--evaluate", "plan.json", pp=8), naming=["plan.json: pp", "4", "8"])
        self.expect_failure(*job("--evaluate", "plan.json", "--out", "o.json"), naming="--out")
        self.expect_failure(*job("--evaluate", "absent.json"), naming="absent.json")
        plan = json.loads(self.read("plan.json"))
        for field, change, naming in (("modes", lambda modes: ["most", *modes[1:]], "most"),
                                      ("cuts", lambda cuts: [0, 0, *cuts[2:]], "broken.json: cuts"),
                                      ("cuts", lambda cuts: cuts[1:], "cuts"),
                                      ("cuts", lambda cuts: [*cuts[:2], -1, *cuts[3:]], "broken.json: cuts[2] = -1"),
                                      ("layers", lambda names: [*names[:3], names[60], *names[4:]], "broken.json: layers[3]"),
                                      ("layers", lambda names: names[1:], "broken.json: layers"),
                                      ("planned", lambda made: {**made, "epoch_seconds": -5.5},
                                       "broken.json: planned.epoch_seconds = -5.5"),
                                      ("planned", lambda made: {**made, "epoch_seconds": "1"},
                                       "broken.json: planned.epoch_seconds"),
                                      ("steps", lambda steps: [steps[0], [[-1], *steps[1][1:]], *steps[2:]],
                                       "broken.json: steps[1][0][0] = -1"),
                                      ("capacity", lambda capacity: {**capacity, "images": -1},
                                       "broken.json: capacity.images = -1"),
                                      ("indices", lambda ids: [ids[1], *ids[1:]], "broken.json: indices")):
            self.write("broken.json", {**plan, field: change(plan[field])})
            self.expect_failure(*job("--evaluate", "broken.json"), naming=naming)

    def test_shape_is_searched_for(self):
        words = job("--gpus", 16, "--out", "plan.json", model="internvl2-8b")
        for option in ("--dp", "--pp", "--tp"):
            at = words.index(option)
            del words[at:at + 2]
        report = self.succeed(*words)
        self.assertEqual(report["dp"] * report["pp"] * report["tp"], 16)
        chosen = self.succeed(*job(model="internvl2-8b", dp=2))
        self.assertLessEqual(report["planned"]["epoch_seconds"], chosen["planned"]["epoch_seconds"])
        first = report["shapes"][0]
        self.assertEqual([first[key] for key in ("dp", "pp", "tp")], [report[key] for key in ("dp", "pp", "tp")])
        self.assertEqual(json.loads(self.read("plan.json"))["pp"], report["pp"])
        self.expect_failure(*job("--gpus", 64), naming="--gpus")
        self.expect_failure(*words, "--evaluate", "plan.json", naming="--")

    def test_a_shape_that_meets_the_batch_at_some_capacity_alone_is_found(self):
        model = {"id": "small", "vision": {"layers": 2, "hidden": 128, "a": 4, "ffn": 512, "glu": True},
                 "llm": {"layers": 2, "hidden": 256, "a": 8, "kv": 1, "ffn": 1024, "vocab": 100},
                 "projector_mlp": [[512, 256], [256, 256]], "vit_tokens_per_tile": 16, "llm_tokens_per_tile": 1}
        words = ["plan", "--lengths", self.write("alike.json", samples(*[(4, 2804)] * 100)), "--model",
                 self.write("small.json", model), "--memory", "24GiB", "--global-batch", 7, "--batch-tolerance", 0]
        report = self.succeed(*words, "--gpus", 64)
        self.assertEqual(report["dp"] * report["pp"] * report["tp"], 64)
        self.assertEqual(report["planned"]["samples_per_step"]["mean"], 7)
        self.assertIsNone(report["shapes"][0]["seconds_per_sample"])

    def test_current_layout_of_any_shape_stands_beside_the_shape_found(self):
        self.succeed(*job("--out", "today.json", model="internvl2-8b", dp=2))
        words = job("--current", "today.json", "--report", "plan.html", model="internvl2-8b")
        for option in ("--dp", "--pp", "--tp"):
            at = words.index(option)
            del words[at:at + 2]
        today = json.loads(self.read("today.json"))
        report = self.succeed(*words, "--gpus", 16)
        self.assertAlmostEqual(report["current"]["epoch_seconds"], today["planned"]["epoch_seconds"])
        self.assertEqual(report["current"]["cuts"], today["cuts"])
        self.assertLessEqual(report["planned"]["epoch_seconds"], report["current"]["epoch_seconds"])
        self.assertTrue(any("today.json on dp 2, pp 4, tp 2" in one for one in report["assumptions"]))
        self.write("slow.json", {key: {**today, "cuts": [0, 1, 2, 3, len(today["layers"])]}[key]
                                 for key in ("model", "dp", "pp", "tp", "schedule", "virtual", "cuts", "modes")})
        words[words.index("today.json")] = "slow.json"
        slow = self.succeed(*words, "--gpus", 16)
        self.assertLess(slow["planned"]["epoch_seconds"], slow["current"]["epoch_seconds"])
        self.assertEqual(len(slow["current"]["peak_memory"]), 4)
        for gpus in (8, 24, 32):
            self.expect_failure(*words, "--gpus", gpus, naming=["slow.json", str(gpus), "--gpus"])
        for key, value in (("tp", "two"), ("dp", 0), ("pp", 1 << 30)):
            self.write("slow.json", {**today, key: value})
            self.expect_failure(*words, "--gpus", 16, naming=key)

    def test_global_batch_is_kept_or_refused(self):
        for batch, more in ((12, ()), (20, ()), (60, ()), (32, ("--schedule", "interleaved", "--virtual", 2))):
            with self.subTest(batch=batch):
                report = self.succeed(*job("--shard-optimizer", *more, batch=batch, capacity="auto"))
                for strategy in ("unbalanced", "planned"):
                    mean = report[strategy]["samples_per_step"]["mean"]
                    self.assertLessEqual(abs(mean - batch), 0.1 * batch, strategy)
                self.assertIn(report["compared_by"], ("epoch", "sample"))
        report = self.succeed(*job("--shard-optimizer", batch=2, dp=8), status=3)
        self.assertEqual((report["reason"], report["nearest_batch"]), ("global_batch", 8))
        for way in ("fewer data-parallel ranks", "--batch-tolerance"):
            self.assertIn(way, report["suggestion"])
        report = self.succeed(*job("--shard-optimizer", batch=100_000, dp=8), status=3)
        self.assertIn("a table of more samples", report["suggestion"])
        self.assertNotIn("fewer data-parallel ranks", report["suggestion"])
        text = self.call(*job("--shard-optimizer", "--format", "text", batch=2, dp=8)).stdout
        self.assertIn("--global-batch of 8", text)
        report = self.succeed(*job("--shard-optimizer", "--batch-tolerance", "100%", batch=4, dp=8))
        self.assertEqual(report["planned"]["samples_per_step"]["mean"], 8)
        for batch, more in ((64, ()), (61, ()), (96, ("--schedule", "zbh1"))):
            report = self.succeed(*job("--shard-optimizer", "--batch-tolerance", 0, *more, batch=batch, dp=4))
            self.assertEqual(report["planned"]["samples_per_step"]["mean"], batch)
        self.write("alike.json", json.dumps([{"vit_num": 1, "token_num": 1000}] * 300))
        alike = job("--shard-optimizer", lengths=("alike.json",), model="internvl2-8b", capacity="images=1,tokens=1000",
                    batch=12)
        report = self.succeed(*alike, status=3)
        self.assertEqual((report["reason"], report["nearest_batch"]), ("global_batch", 8))
        self.assertIn("raise the capacity of packs", report["suggestion"])
        alike[alike.index("images=1,tokens=1000")] = "images=2,tokens=2000"
        few = self.succeed(*job("--shard-optimizer", "--oversize", "skip", capacity="images=1,tokens=300", batch=256), status=3)
        self.assertRegex(few["suggestion"], r"raise the capacity of packs, beyond which [0-9,]+ of 4,000 samples are skipped")
        self.assertNotIn("fewer data-parallel ranks", few["suggestion"])
        self.assertAlmostEqual(self.succeed(*alike)["planned"]["samples_per_step"]["mean"], 12, delta=1.2)
        for tolerance in ("-1", "101%", "2", "x", "", "%"):
            self.expect_failure(*job("--batch-tolerance", tolerance), naming="--batch-tolerance")

    def test_schedules(self):
        for more in (["gpipe"], ["zbh1"], ["interleaved", "--virtual", 2], ["interleaved"], ["zbv"]):
            report = self.succeed(*job("--schedule", *more, "--out", "plan.json", "--shard-optimizer"))
            self.check_order(report)
            self.assertEqual(len(report["planned"]["cuts"]), 4 * (2 if more in (["interleaved", "--virtual", 2], ["zbv"]) else 1) + 1)
            self.assertEqual(len(report["planned"]["peak_memory"]), 4)
            self.assertEqual(json.loads(self.read("plan.json"))["schedule"], more[0])

    def test_more_stages_than_layers(self):
        report = self.succeed(*job(pp=97), status=3)
        self.assertEqual(report["reason"], "fewer_layers_than_stages")

    def test_bad_input(self):
        self.expect_failure(*job(model="gpt-9"), naming=["--model", "gpt-9"])
        self.expect_failure(*job("--device", "a10"), naming=["--device", "a10", "a100"])
        self.expect_failure(*job(tp=5), naming=["tp", "5", "48"])
        self.expect_failure(*job(dp=0), naming=["--dp", "0"])
        self.expect_failure(*job(batch=0), naming=["--global-batch", "0"])
        self.expect_failure(*job(memory="80GB!"), naming=["--memory", "80GB!"])
        self.expect_failure(*job(memory="5GiB"), naming="memory")
        self.expect_failure(*job("--margin", "-1"), naming=["--margin", "10%"])
        self.expect_failure(*job("--oversize", "reject", capacity="images=4,tokens=4096"),
                            naming=["images", "exceeds the capacity 4"])
        self.expect_failure(*job("--oversize", "own_pack"), naming=["--oversize", "own_step"])
        self.expect_failure(*job(capacity="images=0,tokens=4096"), naming=["images", "0"])
        self.expect_failure(*job("--virtual", 2), naming=["--virtual", "2", "interleaved"])
        self.expect_failure(*job("--schedule", "interleaved", "--virtual", 0), naming=["--virtual", "0"])
        self.expect_failure(*job("--schedule", "zbv", "--virtual", 3), naming=["--virtual", "3", "must be 2", "zbv"])
        self.expect_failure(*job("--objective", "bottleneck"), naming=["bottleneck", "expected_makespan"])
        self.expect_failure(*job("--reprot", "r.html"), naming=("unknown option --reprot", "--report"))
        self.expect_failure("plan", naming=["--lengths", "--problem"])
        self.expect_failure("plan", "--lengths", TABLE, naming="--model")
        self.expect_failure(*job("--problem", "p.json"), naming="not both")
        self.expect_failure(*job("--resource", "tokens=token_num"), naming="--resource")
        self.write("negative.json", [{"vit_num": 1, "token_num": -5}])
        self.expect_failure(*job(lengths=["negative.json"]), naming=["negative.json", "-5"])


if __name__ == "__main__":
    main()
