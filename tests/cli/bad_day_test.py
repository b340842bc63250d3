# SPDX-License-Identifier: Apache-2.0
"""What docs/reliability.md promises: outputs that destroy nothing, signals, names that are no text,
limits of time and memory."""
import html.parser
import json
import os
import random
import resource
import signal
import subprocess
import time
import xml.dom.minidom

from command import COMMAND, SANITIZED, CommandTest, main, samples

CAPACITY = ["--capacity", "images=9,tokens=4096"]
SIMULATE = {"kind": "simulate", "schedule": "1f1b", "stages": 2, "microbatches": 2, "fwd": [1, 2],
            "bwd": [3, 4], "cf": [1], "cb": [1]}
MODEL = ["--model", "internvl-chat-1.5", "--dp", "2", "--pp", "2", "--global-batch", "8"]


def subset_sum(layers, kind, seed=1):
    """Layers whose modes trade bytes for as much time, of which half fit: no relaxation is exact."""
    draw = random.Random(seed)
    rows = []
    for _ in range(layers):
        act = draw.randrange(1, 10**9)
        rows.append({"fwd": 1, "bwd": 2, "modes": [{"name": "a", "extra": 0, "act": act},
                                                   {"name": "b", "extra": act, "act": 0}]})
    half = sum(row["modes"][0]["act"] for row in rows) // 2
    if kind == "knapsack":
        return {"kind": kind, "inflight": 1, "budget": half, "layers": rows}
    return {"kind": kind, "schedule": "1f1b", "stages": 2, "microbatches": 4, "mem_limit": half, "layers": rows}


class Files(CommandTest):
    def setUp(self):
        super().setUp()
        self.table = self.write("a.json", samples((1, 300), (5, 1400)) * 8)
        self.pack = ["pack", "--lengths", self.table, *CAPACITY]

    def test_an_output_is_never_an_input_under_any_name(self):
        os.link(self.path("a.json"), self.path("hard.json"))
        os.symlink("a.json", self.path("soft.json"))
        for name in ["a.json", "./a.json", "hard.json", "soft.json", self.path("a.json")]:
            self.expect_failure(*self.pack, "--out", name, naming=["--out " + name, "--lengths a.json"])
        problem = self.write("p.json", SIMULATE)
        for option in ["--out", "--svg", "--trace"]:
            self.expect_failure("simulate", "--problem", problem, option, "p.json", naming=[option, "--problem"])
        for command, option in [("partition", "--problem"), ("recompute", "--problem"), ("rebalance", "--table"),
                                ("calibrate", "--profile"), ("plan", "--problem")]:
            self.expect_failure(command, option, problem, "--out", "p.json", naming=["--out", option])
        self.expect_failure("generate", "--like", self.table, "--samples", "3", "--out", "a.json", naming="--like")
        self.expect_failure("pack", "--lengths", self.table, "--evaluate", "p.json", "--out", "p.json", naming="--evaluate")
        for option, name in [("--model", "p.json#x"), ("--device", "p.json"), ("--profile", "p.json")]:
            arguments = {"--model": "internvl-chat-1.5", option: name}
            self.expect_failure("plan", "--lengths", self.table, *[word for pair in arguments.items() for word in pair],
                                "--out", "p.json", naming=option)

    def test_outputs_are_never_one_file(self):
        problem = self.write("p.json", SIMULATE)
        os.symlink("new.svg", self.path("dangling"))
        for first, second in [("new.svg", "new.svg"), ("new.svg", "./new.svg"), ("new.svg", "dangling")]:
            self.expect_failure("simulate", "--problem", problem, "--svg", first, "--trace", second,
                                naming=["--svg", "--trace"])
        self.expect_failure("simulate", "--problem", problem, "--svg", "-", "--trace", "-", naming="standard output")
        with open(self.path("report.json"), "w") as report:
            done = self.call(*self.pack, "--out", "report.json", stdout=report)
        self.assertEqual(done.returncode, 2)
        self.assertIn("standard output", done.stderr)

    def test_devices_and_pipes_are_written_directly_and_as_often_as_wanted(self):
        problem = self.write("p.json", SIMULATE)
        # A terminal first: nothing can be renamed over it, as root would rename over /dev/null.
        master, terminal = os.openpty()
        self.succeed("simulate", "--problem", problem, "--svg", os.ttyname(terminal))
        self.assertIn(b"<svg", os.read(master, 200))
        os.close(terminal)
        os.close(master)
        self.succeed("simulate", "--problem", problem, "--svg", "/dev/null", "--trace", "/dev/null", "--out", "/dev/null")
        os.mkfifo(self.path("pipe"))
        reader = subprocess.Popen(["cat", "pipe"], cwd=self.folder, stdout=subprocess.PIPE)
        self.addCleanup(reader.kill)
        self.succeed(*self.pack, "--out", "pipe")
        self.assertIn(b'"offsets"', reader.communicate(timeout=60)[0])
        self.assertTrue(os.path.exists(self.path("pipe")) and not os.path.isfile(self.path("pipe")))
        ours, theirs = os.pipe()
        done = self.call(*self.pack, "--out", f"/dev/fd/{theirs}", pass_fds=[theirs])
        os.close(theirs)
        with os.fdopen(ours) as reading:
            self.assertIn('"offsets"', reading.read())
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_dash_is_standard_input_and_output(self):
        table = self.read("a.json").decode()
        named = self.succeed(*self.pack)
        done = self.call("pack", "--lengths", "-", *CAPACITY, input=table)
        self.assertEqual(json.loads(done.stdout)["packs"], named["packs"])
        self.assertEqual(self.call("simulate", "--problem", "-", input=json.dumps(SIMULATE)).returncode, 0)
        done = self.call("pack", "--lengths", "-", "-", *CAPACITY, input=table)
        self.assertEqual(done.returncode, 2)
        self.assertIn("standard input", done.stderr)
        done = self.call(*self.pack, "--out", "-")
        self.assertIn("offsets", json.loads(done.stdout))
        self.assertIn("packs", json.loads(done.stderr))
        problem = self.write("p.json", SIMULATE)
        done = self.call("simulate", "--problem", problem, "--out", "-")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("makespan", json.loads(done.stdout))
        done = self.call("generate", "--like", self.table, "--samples", "3", "--out", "-")
        self.assertEqual(len(json.loads(done.stdout)), 3)

    def test_an_input_that_is_a_circle_of_links_is_bad_input(self):
        os.symlink("round.json", self.path("round.json"))
        self.expect_failure("pack", "--lengths", "round.json", *CAPACITY, "--out", "p.json",
                            naming=["--lengths", "round.json", "cannot be read"])
        self.expect_failure(*self.pack, "--out", "round.json", naming=["round.json", "cannot be written"], status=4)

    def test_empty_values_and_no_memory_are_refused(self):
        self.expect_failure(*self.pack, "--out", "", naming="--out")
        self.expect_failure(*self.pack, "--out=", naming="--out")
        self.expect_failure("plan", "--lengths", self.table, *MODEL, "--report", "", naming="--report")
        self.expect_failure("plan", "--lengths", self.table, *MODEL, "--problem", "", naming="--problem")
        self.expect_failure("plan", "--lengths", self.table, *MODEL, "--memory", "0", naming=["--memory", "at least 1"])


class Signals(CommandTest):
    def interrupt(self, number, *arguments, computed=0, **options):
        """Sends the signal once the command is ready for it and has computed for so many seconds."""
        running = subprocess.Popen([COMMAND, *arguments], cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)
        self.addCleanup(running.kill)
        for _ in range(6000):
            if running.poll() is not None or (self.is_ready(running.pid, number) and
                                              self.seconds_of(running.pid) >= computed):
                break
            time.sleep(0.01)
        running.send_signal(number)
        output, errors = running.communicate(timeout=60)
        return running.returncode, output, errors

    @staticmethod
    def is_ready(process, number):
        """Whether the process handles the signal, or ignores it."""
        with open(f"/proc/{process}/status") as file:
            status = dict(line.split(":", 1) for line in file)
        return any(int(status[mask], 16) >> (number - 1) & 1 for mask in ("SigCgt", "SigIgn"))

    @staticmethod
    def seconds_of(process):
        """What the process has computed so far, in seconds of a processor."""
        with open(f"/proc/{process}/stat") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def test_a_search_prints_and_writes_what_it_has(self):
        problem = self.write("p.json", subset_sum(150, "joint"))
        for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]:
            code, output, errors = self.interrupt(number, "plan", "--problem", problem, "--objective", "makespan",
                                                  "--out", "plan.json", computed=0.5)
            self.assertEqual((code, errors), (status, ""))
            report = json.loads(output)
            self.assertEqual((report["status"], report["limit"], len(report["modes"])), ("stopped", "stop", 150))
            self.assertEqual(json.loads(self.read("plan.json")), report)
            self.assertEqual(self.files(), ["p.json", "plan.json"])

    def test_nohup_is_respected(self):
        problem = self.write("p.json", subset_sum(150, "joint"))
        code, _, errors = self.interrupt(signal.SIGHUP, "plan", "--problem", problem, "--objective", "makespan",
                                         "--time-limit", "2", computed=0.2, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertEqual((code, errors), (0, ""))

    def test_reading_ends_at_once(self):
        os.mkfifo(self.path("never"))
        for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
            code, output, _ = self.interrupt(number, "partition", "--problem", "never")
            self.assertEqual((code, output), (status, ""))


class Names(CommandTest):
    SCRIPT = "<script>alert('&')<script>\x07.json"

    def page_of(self, name):
        content = json.dumps(samples((1, 300), (5, 1400), (2, 700), (0, 90)) * 12).encode()
        with open(os.path.join(os.fsencode(self.folder), name), "wb") as file:
            file.write(content)
        done = subprocess.run([COMMAND, "plan", "--lengths", name, *MODEL, "--memory", "400GiB", "--report", "p.html",
                               "--out", "p.json", "--format", "json"], cwd=self.folder, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        json.loads(done.stdout.decode("utf-8"))
        json.loads(self.read("p.json").decode("utf-8"))
        return self.read("p.html").decode("utf-8")

    def test_a_name_that_is_no_text_gives_a_page_and_json_that_are(self):
        self.assertIn("\\xff\\xed\\xa0\\x80.json", self.page_of(b"\xff\xed\xa0\x80.json"))

    def test_a_name_that_is_a_script_stays_a_name(self):
        tags = []
        parser = html.parser.HTMLParser()
        parser.handle_starttag = lambda tag, attributes: tags.append(tag)
        page = self.page_of(self.SCRIPT.encode())
        parser.feed(page)
        self.assertIn("table", tags)
        self.assertNotIn("script", tags)
        self.assertNotIn("\x07", page)

    def test_pictures_are_xml_and_traces_are_json(self):
        problem = self.write(self.SCRIPT, SIMULATE)
        self.succeed("simulate", "--problem", problem, "--svg", "p.svg", "--trace", "t.json")
        xml.dom.minidom.parseString(self.read("p.svg"))
        json.loads(self.read("t.json"))

    def test_text_for_terminals_has_no_control_characters(self):
        problem = self.write("p.json", subset_sum(3, "joint"))
        table = self.write("a\x1b[2J.json", samples((1, 300)))
        done = self.call("pack", "--lengths", table, *CAPACITY, "--format", "text")
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("\x1b", done.stdout)
        self.assertNotIn("\x1b", self.call("plan", "--problem", problem, "--format", "text").stdout)


class Limits(CommandTest):
    """Small inputs stay within their time, and within 1 GiB of memory: time of the processor, since
    other tests may run."""
    SLACK = 10  # seconds without a limit: far more than a slow machine needs, far less than work without an end

    @staticmethod
    def one_gibibyte():
        if not SANITIZED:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    @staticmethod
    def processor_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def run_within(self, seconds, *arguments, statuses=(0,)):
        limit = [] if seconds is None else ["--time-limit", seconds]
        begin = self.processor_seconds()
        done = self.call(*arguments, *limit, "--format", "json", preexec_fn=self.one_gibibyte)
        took = self.processor_seconds() - begin
        self.assertIn(done.returncode, statuses, done.stderr)
        if not SANITIZED:
            # Starting the process takes time as well.
            self.assertLess(took, self.SLACK if seconds is None else 1.1 * seconds + 1.5)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def expect_gap(self, report):
        self.assertIn(report["status"], ["stopped", "optimal"])
        self.assertLessEqual(report["bound"], report["objective"])
        self.assertGreaterEqual(report["bound"], 0)

    def test_hard_knapsacks(self):
        problem = subset_sum(200, "knapsack")
        report = self.run_within(1, "recompute", "--problem", self.write("p.json", problem))
        self.assertIn(report["status"], ["stopped", "optimal"])
        used = sum(layer["modes"][mode]["act"] for layer, mode in zip(problem["layers"], report["modes"]))
        self.assertLessEqual(used, problem["budget"])
        if report["status"] == "stopped":
            self.assertLessEqual(report["bound"], report["extra"])

    def test_hard_stages_under_every_objective(self):
        problem = self.write("p.json", subset_sum(120, "joint"))
        for objective in ["bottleneck", "closed_form", "period", "makespan", "variance"]:
            report = self.run_within(1, "plan", "--problem", problem, "--objective", objective)
            self.assertEqual(len(report["modes"]), 120, objective)
            self.expect_gap(report)

    def test_hard_stages_of_schedules_that_share_memory(self):
        for more in [{"schedule": "interleaved", "virtual": 2}, {"schedule": "zbh1"}, {"schedule": "zbv", "virtual": 2}]:
            problem = self.write("p.json", {**subset_sum(80, "joint"), **more})
            report = self.run_within(1, "plan", "--problem", problem, "--objective", "makespan", statuses=(0, 3))
            if "modes" in report:
                self.assertEqual(len(report["modes"]), 80, more)
                self.expect_gap(report)
            else:
                self.assertEqual(report["status"], "stopped", report)

    def test_many_layers_of_one_kind(self):
        modes = [{"name": name, "extra": 7 * k * k, "act": 10**6 - 1009 * k} for k, name in enumerate("abcdef")]
        layers = [{"fwd": 1, "bwd": 2, "modes": modes}] * 2000
        problem = self.write("p.json", {"kind": "knapsack", "inflight": 1, "budget": 2000 * (10**6 - 2222), "layers": layers})
        report = self.run_within(1, "recompute", "--problem", problem)
        self.assertEqual(len(report["modes"]), 2000)

    def test_sizes_that_are_too_large_are_refused_by_their_limit(self):
        layers = [{"fwd": 1, "bwd": 2}] * 10_000
        problem = {"kind": "joint", "schedule": "1f1b", "microbatches": 4, "layers": layers, "mem_limit": None}
        for stages in [8, 2000]:
            words = self.run_within(5, "plan", "--problem", self.write("p.json", {**problem, "stages": stages}), statuses=[2])
            self.assertIn("2^25", words)
        sizes = {"stages": 4, "microbatches": 1 << 18, "layers": layers[:8]}
        self.run_within(5, "plan", "--problem", self.write("p.json", {**problem, **sizes}), "--objective", "bottleneck")
        words = self.run_within(5, "plan", "--problem", self.write("p.json", {**problem, **sizes, "stages": 8}), statuses=[2])
        self.assertIn("2^20", words)
        simulated = {**SIMULATE, "stages": 5, "microbatches": 1 << 20}
        words = self.run_within(None, "simulate", "--problem", self.write("p.json", simulated), statuses=[2])
        self.assertIn("2^22", words)

    def test_long_timelines_are_refused_by_their_limit_and_many_devices_take_linear_time(self):
        problem = {**SIMULATE, "microbatches": 1 << 18}
        self.run_within(None, "simulate", "--problem", self.write("p.json", problem), "--trace", "t.json")
        problem["microbatches"] += 1
        words = self.run_within(None, "simulate", "--problem", self.write("p.json", problem), "--svg", "t.svg", statuses=[2])
        self.assertIn("2^19", words)
        stages = 200_000
        wide = {**SIMULATE, "stages": stages, "microbatches": 1, "fwd": [1] * stages, "bwd": [2] * stages,
                "cf": [1] * (stages - 1), "cb": [1] * (stages - 1)}
        self.run_within(None, "simulate", "--problem", self.write("p.json", wide), "--svg", "t.svg")

    def test_searches_stop_where_simulations_are_long(self):
        modes = [{"name": "a", "extra": 0, "act": 3}, {"name": "b", "extra": 2, "act": 1}]
        layers = [{"fwd": 5 + k, "bwd": 7, "modes": modes} for k in range(40)]
        problem = {"kind": "joint", "schedule": "1f1b", "stages": 4, "microbatches": 1 << 18, "layers": layers,
                   "mem_limit": None}
        for objective in ["makespan", "variance"]:
            self.expect_gap(self.run_within(1, "plan", "--problem", self.write("p.json", problem), "--objective", objective))

    def test_objects_of_many_keys_take_linear_time(self):
        many = self.write("p.json", {f"x_{k}": k for k in range(300_000)})
        for arguments in [["partition", "--problem"], ["calibrate", "--profile"], ["rebalance", "--table"]]:
            self.run_within(None, *arguments, many, statuses=[2])

    def test_a_million_ranks(self):
        table = self.write("a.json", samples((1, 300), (5, 1400)) * 8)
        pack = ["pack", "--lengths", table, *CAPACITY, "--dp", 1_000_000]
        for policy in ["short", "drop", "pad"]:
            report = self.run_within(None, *pack, "--last-step", policy, "--out", "packs.json")
            self.assertEqual(report["steps"], 0 if policy == "drop" else 1)
        words = self.run_within(None, *pack, "--micro-batches", 9, "--last-step", "pad", statuses=[2])
        self.assertIn("2^23", words)


if __name__ == "__main__":
    main()
