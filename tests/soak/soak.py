# SPDX-License-Identifier: Apache-2.0
"""Runs the command and a training loop over and over while something goes wrong, and ends at the first loss.

usage: soak.py OMNIBAL [--seconds 1800] [--seed 1] [--only ROUND] [--fault NAME] [--compiler c++]

Each round is one job of the command, or one training run (epoch_loop.cpp) until it is done, under one kind
of fault. After it, inputs must be what they were, outputs whole (the old bytes or the new ones, and the new
ones after success), temporary files gone unless the process was killed, the exit status the one documented,
with one line on standard error. A killed job is then run again beside what it left, and must succeed. A
training run must end with the journal of an uninterrupted run, byte for byte: every sample exactly once per
epoch, in the same order.

Needs Linux with glibc and a C++ compiler. Full disks are small tmpfs where this may mount them, else they
are left out. The same seed gives the same rounds; a signal at a certain time may meet another moment.
"""
import argparse
import collections
import contextlib
import errno
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(CHECKOUT, "tests", "fuzz"))
from mutate_files import mutated  # noqa: E402

LONGEST = 300  # seconds of one process, on a machine that does much else
TEMPORARY = re.compile(r"\.omnibal-\d+\.part|checkpoint\.part")
CAPACITY = ["--capacity", "images=10,tokens=4096"]
MODEL = ["--model", "internvl-chat-1.5", "--dp", "2", "--pp", "2", "--global-batch", "16", "--memory", "400GiB"]
OLD = b"old bytes\n" * 50


class Loss(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Loss(what)


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


# ---- what is run --------------------------------------------------------------------------------

class Job:
    """A command line, run in a folder with the inputs; its outputs are in out/."""

    def __init__(self, name, *arguments, fixed=True):
        self.name = name
        self.arguments = [*arguments, "--format", "json"]
        self.fixed = fixed  # the same outputs whenever it ends with status 0
        self.outputs = [word for word in arguments if word.startswith("out/")]
        self.seconds = 0.0
        self.wanted = {}


def subset_sum(layers, draw):
    """A problem that no search solves in its time."""
    rows = []
    for _ in range(layers):
        act = draw.randrange(1, 10**9)
        rows.append({"fwd": 1, "bwd": 2, "modes": [{"name": "a", "extra": 0, "act": act},
                                                   {"name": "b", "extra": act, "act": 0}]})
    return {"kind": "joint", "schedule": "1f1b", "stages": 2, "microbatches": 4, "layers": rows,
            "mem_limit": sum(row["modes"][0]["act"] for row in rows) // 2}


def make_inputs(command, folder):
    draw = random.Random(7)
    rows = [{"vit_num": 1 + k % 5, "token_num": 300 + 256 * (k % 5) + draw.randrange(97)} for k in range(400)]
    inputs = {"lengths.json": rows, "hard.json": subset_sum(60, draw)}
    for name, value in inputs.items():
        write(os.path.join(folder, name), json.dumps(value).encode())
    write(os.path.join(folder, "lengths.csv"), b"vit_num,token_num\n" +
          b"".join(b"%d,%d\n" % tuple(row.values()) for row in rows))
    for source in ["data/chain.json", "data/held.json", "data/pipeline.json", "data/stage.json", "data/step.json",
                   "snippets/profile.json"]:
        shutil.copy(os.path.join(CHECKOUT, "examples", source), folder)
    run = ["plan", "--lengths", "lengths.json", *MODEL, *CAPACITY]
    for option, name in [("--execution", "execution.json"), ("--out", "plan.json")]:
        subprocess.run([command, *run, option, name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([command, "pack", "--lengths", "lengths.json", *CAPACITY, "--out", "packs.json"], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    plan = json.loads(read(folder, "execution.json"))["plan"]
    programs = [plan["programs"][replica["program"]] for replica in plan["steps"][0]["replicas"]]
    ranks = [[draw.randrange(10**5, 10**7) for _ in turns] for program in programs for turns in program["turns"]]
    write(os.path.join(folder, "measured.json"), json.dumps({"steps": [{"step": 0, "ranks": ranks}]}).encode())
    return sorted(os.listdir(folder))


JOBS = [
    Job("pack", "pack", "--lengths", "lengths.json", *CAPACITY, "--dp", "4", "--out", "out/packs.json"),
    Job("pack streaming", "pack", "--lengths", "lengths.csv", "lengths.json", *CAPACITY, "--method", "streaming",
        "--out", "out/packs.json"),
    Job("pack evaluate", "pack", "--lengths", "lengths.json", "--evaluate", "packs.json"),
    Job("plan", "plan", "--lengths", "lengths.json", *MODEL, *CAPACITY, "--out", "out/plan.json", "--report",
        "out/plan.html", "--execution", "out/execution.json"),
    Job("plan capacities", "plan", "--lengths", "lengths.json", *MODEL, "--out", "out/plan.json"),
    Job("plan evaluate", "plan", "--lengths", "lengths.json", *MODEL, "--evaluate", "plan.json"),
    Job("plan problem", "plan", "--problem", "pipeline.json", "--objective", "makespan", "--out", "out/plan.json"),
    Job("plan hard problem", "plan", "--problem", "hard.json", "--objective", "makespan", "--time-limit", "2", "--out",
        "out/plan.json", fixed=False),
    Job("generate", "generate", "--like", "lengths.json", "--samples", "20000", "--out", "out/table.npy"),
    Job("generate lines", "generate", "--like", "lengths.csv", "--samples", "5000", "--out", "out/table.jsonl"),
    Job("partition", "partition", "--problem", "chain.json", "--out", "out/chain.json"),
    Job("recompute", "recompute", "--problem", "stage.json", "--out", "out/stage.json"),
    Job("rebalance", "rebalance", "--table", "held.json", "--out", "out/moves.json"),
    Job("simulate", "simulate", "--problem", "step.json", "--out", "out/step.json", "--svg", "out/step.svg", "--trace",
        "out/trace.json"),
    Job("replay", "replay", "--execution", "execution.json", "--measured", "measured.json", "--out", "out/replay.json",
        "--svg", "out/replay.svg", "--trace", "out/replay-trace.json"),
    Job("calibrate", "calibrate", "--profile", "profile.json", "--out", "out/fits.json"),
]


class Process:
    """How a process ended."""

    def __init__(self, words, folder, limits=None, fault=None, library=None, kill=None):
        self.words, self.folder = words, folder
        reached = os.path.join(folder, "reached")
        environment = dict(os.environ)
        if fault:
            environment.update(FAULT=fault, FAULT_REACHED=reached, LD_PRELOAD=library)

        def prepare():
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # shells ignore it for what runs in the background
            for limit, value in limits or []:
                resource.setrlimit(limit, (value, value))
        running = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, env=environment, preexec_fn=prepare)
        try:
            if kill:
                after, number = kill
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.wait(after)
                running.send_signal(number)
            self.output, self.errors = running.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            raise Loss(f"no answer within {LONGEST} s")
        self.status = running.returncode
        self.reached = os.path.exists(reached)
        if self.reached:
            os.unlink(reached)

    def expect(self, *statuses):
        expect(self.status in statuses, f"status {self.status} instead of {statuses}: {self.errors[-400:]}")
        if self.status in (2, 4, 71):
            expect(re.fullmatch(rb"[a-z_]+: [^\n]{1,400}\n", self.errors), f"not one line: {self.errors[-400:]}")


def files_below(folder):
    return {name: hashlib.sha256(read(folder, name)).hexdigest() for name in os.listdir(folder)
            if os.path.isfile(os.path.join(folder, name))}


def untimed(content):
    """Without the time that a search took, the only thing that differs between runs."""
    return re.sub(rb'"seconds":[0-9.e+-]+', b"", content)


def is_whole(name, content):
    """Whether the bytes of an output are complete, whatever they say."""
    if name.endswith(".json"):
        with contextlib.suppress(ValueError):
            return isinstance(json.loads(content), (dict, list))
        return False
    return content.rstrip().endswith((b"</html>", b"</svg>", b"}", b"]"))


class Soak:
    def __init__(self, given, folder):
        self.command = os.path.abspath(given.command)
        self.folder = os.path.join(folder, "work")
        self.tools = os.path.join(folder, "tools")
        for path in (self.folder, self.tools):
            os.mkdir(path)
        self.library = self.compile(given.compiler, "failing_calls.cpp", "-shared", "-fPIC")
        self.with_loop = any(fault in LOOP_FAULTS for fault in chosen_faults(given.fault))
        if self.with_loop:
            self.loop = self.compile(given.compiler, "epoch_loop.cpp", "-I", os.path.join(CHECKOUT, "include"), "-pthread")
        self.inputs = make_inputs(self.command, self.folder)
        self.out = os.path.join(self.folder, "out")
        self.run_folder = os.path.join(self.folder, "run")
        for path in (self.out, self.run_folder):
            os.mkdir(path)
        self.hashes = files_below(self.folder)
        self.least_memory = {"command": self.memory_to_start([self.command, "--version"])}
        self.learn_outputs()
        if self.with_loop:
            self.least_memory["loop"] = self.memory_to_start([self.loop])
            self.learn_journal()
        self.may_mount = self.try_mount()
        self.rounds = collections.Counter()
        self.met = collections.Counter()

    def compile(self, compiler, source, *options):
        program = os.path.join(self.tools, source.removesuffix(".cpp"))
        subprocess.run([compiler, "-std=c++20", "-O1", "-Wall", "-Wextra", *options, os.path.join(HERE, source), "-o",
                        program], check=True)
        return program

    def memory_to_start(self, words):
        """The least address space with which a program starts: below it, the loader cannot."""
        low, high = 1 << 20, 1 << 30
        while high - low > 1 << 16:
            middle = (low + high) // 2
            with contextlib.suppress(Loss):
                done = Process(words, self.folder, limits=[(resource.RLIMIT_AS, middle)])
                low, high = (low, middle) if done.status in (0, 2) else (middle, high)
        return high

    def learn_outputs(self):
        """What the outputs are when nothing goes wrong."""
        for job in JOBS:
            begin = time.monotonic()
            done = self.run(job)
            job.seconds = time.monotonic() - begin
            done.expect(0)
            job.wanted = {name: untimed(read(self.folder, name)) for name in job.outputs}
            self.clear()

    def learn_journal(self):
        begin = time.monotonic()
        self.train(1, 1).expect(0)
        self.loop_seconds = time.monotonic() - begin
        self.journal = read(self.run_folder, "journal")
        counts = collections.Counter(self.journal.split())
        expect(len(counts) == 2700 and set(counts.values()) == {1}, "a sample is not in the journal exactly once")

    def try_mount(self):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", self.out], capture_output=True,
                              check=False)
        if done.returncode == 0:
            subprocess.run(["umount", self.out], check=True)
        return done.returncode == 0

    @contextlib.contextmanager
    def small_disk(self, folder, kilobytes):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)

    def clear(self):
        for name in os.listdir(self.out):
            os.unlink(os.path.join(self.out, name))

    def run(self, job, arguments=None, **more):
        return Process([self.command, *(arguments or job.arguments)], self.folder, library=self.library, **more)

    def train(self, ranks, seed, *more, **faults):
        return Process([self.loop, "run", str(ranks), str(seed), *more], self.folder, library=self.library, **faults)

    # ---- checks of the command ----

    def check_inputs(self):
        expect(files_below(self.folder) == self.hashes, "an input was changed, or a file is left beside the inputs")

    def check_outputs(self, job, done, old, killed=False, device=None):
        left = [name for name in os.listdir(self.out) if "out/" + name not in job.outputs]
        expect(killed or not left, f"left in the folder: {left}")
        expect(all(TEMPORARY.fullmatch(name) for name in left), f"files of unknown names: {left}")
        all_new = True
        for name in job.outputs:
            path = os.path.join(self.folder, name)
            content = read(path) if os.path.exists(path) else None
            new = content is not None and untimed(content) == job.wanted[name]
            if done.status in (0, 3) and job.fixed:
                expect(new, f"{name} is not what it has to be")
            elif content != old.get(name) and not new:
                stopped = done.status in (129, 130, 143) or not job.fixed or killed
                expect(content is not None and stopped and is_whole(name, content), f"{name} is broken")
            all_new &= content != old.get(name)
        if done.status in (0, 3):
            expect(done.errors == b"", f"on standard error: {done.errors[-400:]}")
            json.loads(done.output)
        elif done.status == 2:
            expect(done.output == b"", "output beside an error")
        elif done.status == 4 and device is None:
            expect(not all_new, "every output was replaced, and yet one could not be written")
        self.check_inputs()

    def with_old_outputs(self, job, draw):
        old = {name: OLD for name in job.outputs if draw.random() < 0.5}
        for name, content in old.items():
            write(os.path.join(self.folder, name), content)
        return old

    def command_round(self, draw, fault):
        job = draw.choice([job for job in JOBS if job.outputs or not fault.needs_outputs])
        self.what = f"{fault.name}: omnibal {' '.join(job.arguments)}"
        old = self.with_old_outputs(job, draw)
        met = fault.run(self, job, draw, old)
        self.clear()
        return met

    # ---- checks of the training loop ----

    def clear_run(self):
        for name in os.listdir(self.run_folder):
            os.unlink(os.path.join(self.run_folder, name))

    def is_trained(self):
        path = os.path.join(self.run_folder, "journal")
        return os.path.exists(path) and read(path) == self.journal

    def loop_round(self, draw, fault):
        self.clear_run()
        met = 0
        for _ in range(draw.randrange(1, 8)):
            ranks, seed = draw.choice([1, 2, 3, 4, 6, 12]), draw.randrange(10**6)
            self.what = f"{fault.name}: epoch_loop run {ranks} {seed}"
            met += fault.run(self, ranks, seed, draw)
            self.check_inputs()
            if self.is_trained():
                self.clear_run()
        self.train(draw.choice([1, 2, 3, 4, 6, 12]), draw.randrange(10**6)).expect(0)
        expect(self.is_trained(), "the journal is not that of an uninterrupted run")
        return met


Fault = collections.namedtuple("Fault", "name run needs_outputs", defaults=[True])


# ---- faults of the command; each returns how many were met ---------------------------------------

def signalled(number):
    def run(soak, job, draw, old):
        done = soak.run(job, kill=(draw.random() * 1.1 * job.seconds, number))
        killed = number == signal.SIGKILL
        # Before the command handles a signal, it ends as the system has it, with nothing begun.
        done.expect(0, -number, *([] if killed else [128 + number]))
        if not killed and done.status != 0:
            expect(done.errors == b"", f"on standard error: {done.errors[-400:]}")
        soak.check_outputs(job, done, old, killed)
        run_again(soak, job)
        return done.status != 0
    return run


def run_again(soak, job):
    """Beside whatever the run before has left."""
    done = soak.run(job)
    done.expect(0)
    left = {name for name in os.listdir(soak.out) if TEMPORARY.fullmatch(name)}
    for name in left:
        os.unlink(os.path.join(soak.out, name))
    soak.check_outputs(job, done, {})


def failing_call(call, action, *statuses, most=3):
    def run(soak, job, draw, old):
        number = draw.randrange(1, most + 1) if most < 100 else int(most ** draw.random())
        soak.what += f", FAULT='{call} {number} {action}'"
        done = soak.run(job, fault=f"{call} {number} {action}")
        killed = action == "kill"
        done.expect(*(statuses if done.reached else [0]))
        soak.check_outputs(job, done, old, killed)
        if killed:
            run_again(soak, job)
        return done.reached
    return run


def limited(soak, job, old, what, kind, limit, status):
    soak.what += f", {what}"
    done = soak.run(job, limits=[(kind, limit)])
    done.expect(0, status)
    soak.check_outputs(job, done, old)
    return done.status != 0


def little_memory(soak, job, draw, old):
    least = soak.least_memory["command"]
    limit = least + int((1 << 16) * (1 << 10) ** draw.random())
    return limited(soak, job, old, f"ulimit -v {limit >> 10}", resource.RLIMIT_AS, limit, 71)


def little_file(soak, job, draw, old):
    limit = int(20000 ** draw.random())
    return limited(soak, job, old, f"RLIMIT_FSIZE {limit}", resource.RLIMIT_FSIZE, limit, 4)


def full_disk(soak, job, draw, old):
    kilobytes = draw.choice([4, 8, 12, 16, 32, 64])
    soak.what += f", out/ a tmpfs of {kilobytes} kB"
    if not soak.may_mount:
        return 0
    soak.clear()
    with soak.small_disk(soak.out, kilobytes):
        try:
            old = soak.with_old_outputs(job, draw)
        except OSError as error:
            expect(error.errno == errno.ENOSPC, str(error))
            return 0
        done = soak.run(job)
        done.expect(0, 4)
        soak.check_outputs(job, done, old)
        soak.clear()
    return done.status != 0


def full_device(soak, job, draw, old):
    name = draw.choice(job.outputs)
    path = os.path.join(soak.folder, name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink("/dev/full", path)
    done = soak.run(job)
    done.expect(4)
    expect(os.path.islink(path), f"{name} was replaced")
    os.unlink(path)
    other = Job(job.name, *[word for word in job.arguments if word != name], fixed=job.fixed)
    other.wanted = job.wanted
    soak.check_outputs(other, done, old, device=name)
    return 1


def broken_input(change):
    def run(soak, job, draw, old):
        name = draw.choice([word for word in job.arguments if word in soak.inputs])
        content = change(read(soak.folder, name), draw)
        broken = os.path.join(soak.folder, "out", "broken-" + name)
        write(broken, content)
        arguments = ["out/broken-" + name if word == name else word for word in job.arguments]
        done = soak.run(job, [*arguments, *(["--time-limit", "2"] if job.name == "plan problem" else [])])
        done.expect(0, 2, 3)
        expect(read(broken) == content, "an input was changed")
        os.unlink(broken)
        if done.status == 2:
            soak.check_outputs(job, done, old)
        else:  # another job, perhaps; what it says is the concern of other tests
            expect(done.errors == b"", f"on standard error: {done.errors[-400:]}")
            soak.check_inputs()
        return 1
    return run


def two_at_once(soak, job, draw, old):
    words = [soak.command, *job.arguments]
    both = [subprocess.Popen(words, cwd=soak.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for running in both:
        output, errors = running.communicate(timeout=LONGEST)
        expect((running.returncode, errors) == (0, b""), f"status {running.returncode}: {errors[-400:]}")
        json.loads(output)
    done = soak.run(job)
    done.expect(0)
    soak.check_outputs(job, done, old)
    return 1


COMMAND_FAULTS = [
    Fault("command: SIGKILL", signalled(signal.SIGKILL)),
    Fault("command: SIGINT", signalled(signal.SIGINT)),
    Fault("command: SIGTERM", signalled(signal.SIGTERM)),
    Fault("command: SIGHUP", signalled(signal.SIGHUP)),
    *(Fault(f"command: killed before {call}", failing_call(call, "kill", -signal.SIGKILL))
      for call in ["create", "write", "fsync", "rename"]),
    *(Fault(f"command: SIGTERM before {call}", failing_call(call, "terminate", 143)) for call in ["fsync", "rename"]),
    *(Fault(f"command: {call} fails", failing_call(call, error, 4)) for call, error in
      [("create", errno.EMFILE), ("write", errno.ENOSPC), ("fsync", errno.EIO), ("rename", errno.EIO)]),
    Fault("command: read fails", failing_call("read", errno.EIO, 2, most=4), False),
    Fault("command: short read", failing_call("read", "short", 0, most=4), False),
    Fault("command: short write", failing_call("write", "short", 0)),
    Fault("command: interrupted write", failing_call("write", errno.EINTR, 0)),
    Fault("command: an allocation fails", failing_call("allocate", errno.ENOMEM, 0, 71, most=30000), False),
    Fault("command: allocations fail from one on", failing_call("allocate", "from", 71, most=30000), False),
    Fault("command: little address space", little_memory, False),
    Fault("command: limit of file sizes", little_file),
    Fault("command: full disk", full_disk),
    Fault("command: full device", full_device),
    Fault("command: truncated input", broken_input(lambda content, draw: content[:draw.randrange(len(content))]), False),
    Fault("command: changed input", broken_input(mutated), False),
    Fault("command: two at once", two_at_once),
]


# ---- faults of the training loop ------------------------------------------------------------------

def loop_signalled(soak, ranks, seed, draw):
    number = draw.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    done = soak.train(ranks, seed, kill=(draw.random() * soak.loop_seconds, number))
    done.expect(0, -number)
    return done.status != 0


def loop_call(call, action, *statuses, most=20):
    def run(soak, ranks, seed, draw):
        number = draw.randrange(1, most + 1) if most < 100 else int(most ** draw.random())
        soak.what += f", FAULT='{call} {number} {action}'"
        done = soak.train(ranks, seed, fault=f"{call} {number} {action}")
        done.expect(*(statuses if done.reached else [0]))
        return done.reached
    return run


def loop_allocations(soak, ranks, seed, draw):
    done = soak.train(ranks, seed, "--allocations")
    done.expect(0)
    return int(done.output)


def loop_memory(soak, ranks, seed, draw):
    limit = soak.least_memory["loop"] + draw.randrange(1 << 16, 1 << 21)
    soak.what += f", ulimit -v {limit >> 10}"
    done = soak.train(ranks, seed, limits=[(resource.RLIMIT_AS, limit)])
    done.expect(0, 71)
    return done.status != 0


def loop_disk(soak, ranks, seed, draw):
    limit = draw.randrange(1, 14000)
    soak.what += f", RLIMIT_FSIZE {limit}"
    done = soak.train(ranks, seed, limits=[(resource.RLIMIT_FSIZE, limit)])
    done.expect(0, 4)
    return done.status != 0


def loop_checkpoint(change):
    def run(soak, ranks, seed, draw):
        path = os.path.join(soak.run_folder, "checkpoint")
        if not os.path.exists(path):
            return loop_call("rename", "kill", -signal.SIGKILL)(soak, ranks, seed, draw)
        content, journal = read(path), read(soak.run_folder, "journal")
        broken = change(content, draw)
        if broken in (content, b""):  # an empty file is no checkpoint
            return 0
        write(path, broken)
        soak.train(ranks, seed).expect(2)
        expect(read(path) == broken, "a checkpoint that is refused was changed")
        expect(read(soak.run_folder, "journal") == journal, "the journal was changed under a refused checkpoint")
        write(path, content)
        return 1
    return run


def flipped(content, draw):
    content = bytearray(content)
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


LOOP_FAULTS = [
    Fault("loop: signals", loop_signalled),
    *(Fault(f"loop: killed before {call}", loop_call(call, "kill", -signal.SIGKILL)) for call in
      ["create", "write", "fsync", "rename"]),
    *(Fault(f"loop: {call} fails", loop_call(call, error, 4)) for call, error in
      [("create", errno.EMFILE), ("write", errno.ENOSPC), ("fsync", errno.EIO), ("rename", errno.EIO)]),
    Fault("loop: short write", loop_call("write", "short", 0)),
    Fault("loop: an allocation fails", loop_call("allocate", errno.ENOMEM, 0, 71, most=20000)),
    Fault("loop: calls without memory are repeated", loop_allocations),
    Fault("loop: little address space", loop_memory),
    Fault("loop: limit of file sizes", loop_disk),
    Fault("loop: truncated checkpoint", loop_checkpoint(lambda content, draw: content[:draw.randrange(len(content))])),
    Fault("loop: changed checkpoint", loop_checkpoint(flipped)),
]


# ---- the soak -----------------------------------------------------------------------------------

def chosen_faults(names):
    return [fault for fault in COMMAND_FAULTS + LOOP_FAULTS if not names or fault.name in names]


def soak_round(soak, names, seed, number):
    """All faults come in turn; the rest is drawn from the seed and the number alone."""
    draw = random.Random(f"{seed} {number}")
    faults = chosen_faults(names)
    fault = faults[number % len(faults)]
    run = soak.command_round if fault in COMMAND_FAULTS else soak.loop_round
    soak.rounds[fault.name] += 1
    soak.what = fault.name
    soak.met[fault.name] += run(draw, fault)


def table(soak, losses):
    lines = [f"{'fault':45}{'rounds':>8}{'faults met':>12}"]
    lines += [f"{name:45}{soak.rounds[name]:>8}{soak.met[name]:>12}" for name in soak.rounds]
    lines.append(f"{'all':45}{soak.rounds.total():>8}{soak.met.total():>12}   lost: {losses}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="ROUND")
    parser.add_argument("--fault", action="append", metavar="NAME", help="a fault of the table, in place of all of them")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--keep", default="soak-loss", help="where the folder of a loss is left")
    given = parser.parse_args()
    if not chosen_faults(given.fault):
        parser.error(f"no such faults: {given.fault}")
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(given, folder)
        if not soak.may_mount:
            print("file systems cannot be mounted here: no full disks")
        end = time.monotonic() + given.seconds
        number, losses = given.only or 0, 0
        while not losses and time.monotonic() < end:
            try:
                soak_round(soak, given.fault, given.seed, number)
            except Loss as loss:
                losses = 1
                shutil.copytree(soak.folder, given.keep, symlinks=True, dirs_exist_ok=True)
                print(f"LOST: {loss}\n{soak.what}\nin {given.keep}; repeat with: soak.py {given.command} "
                      f"--seed {given.seed} --only {number}" + "".join(f" --fault '{name}'" for name in given.fault or []))
            if given.only is not None:
                break
            number += 1
        print(table(soak, losses))
    sys.exit(losses)


if __name__ == "__main__":
    main()
