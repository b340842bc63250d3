# SPDX-License-Identifier: Apache-2.0
"""Runs the command on files that are nearly right: valid files of every kind it reads, changed at
random by their structure or byte by byte. Whatever comes in, the command answers with a report, or
refuses with one line; it neither crashes nor exceeds its limits.

usage: mutate_files.py OMNIBAL [--seconds S] [--inputs N] [--seed N] [--keep FOLDER]
       mutate_files.py OMNIBAL --seeds FOLDER

The same seed gives the same inputs. Build the command with the preset asan for sanitizers. An input
that breaks the promise is left in FOLDER with the arguments that show it. --seeds writes the valid
files as first inputs of fuzz_files.cpp instead.
"""
import argparse
import copy
import hashlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(CHECKOUT, "examples", "data")
LONGEST = 20  # Seconds that one run may take; searches are given a limit of one.
CAPACITY = ["--capacity", "images=9,tokens=4096"]
SHAPE = ["--model", "internvl-chat-1.5", "--dp", "2", "--pp", "2", "--global-batch", "8", "--memory", "400GiB"]
SAMPLES = [{"vit_num": 1 + k % 5, "token_num": 300 + 97 * k, "id": f"s{k}"} for k in range(12)]
MODES = [{"name": "none", "extra": 0, "act": 9, "trans": 1}, {"name": "full", "extra": 5, "act": 1, "trans": 4}]
LAYER = {"fwd": 10, "bwd": 20, "wgrad": 8, "static": 3, "cf": 1, "cb": 1, "modes": MODES}


def joint(**more):
    return {"kind": "joint", "schedule": "1f1b", "stages": 2, "microbatches": 4, "mem_limit": [90, 80], "reserved": 1,
            "memory_margin": 0, "layers": [copy.deepcopy(LAYER) for _ in range(6)], **more}


PROBLEMS = {
    "partition": [{"kind": "ccp", "weights": [8, 2, 3, 1, 7, 3], "parts": 3}],
    "recompute": [{"kind": "knapsack", "inflight": 2, "budget": 40, "layers": joint()["layers"]}],
    "simulate": [
        {"kind": "simulate", "schedule": "1f1b", "stages": 2, "microbatches": 2, "fwd": [1, 2], "bwd": [3, 4],
         "cf": [1], "cb": [1], "act": [5, 6], "recompute": [1, 1]},
        {"kind": "simulate", "schedule": "gpipe", "stages": 1, "microbatches": 2, "fwd": [1], "bwd": [3], "cf": [],
         "cb": [], "device_order": [["F0.0", "F0.1", "B0.0", "B0.1"]]}],
    "plan": [
        joint(tied=[[0, 5]], together=[[1, 2]], apart=[[0, 5]], devices=[{"speed": {"num": 3, "den": 2}}, {}]),
        joint(schedule="interleaved", virtual=2, group_size=2), joint(schedule="zbv", virtual=2), joint(schedule="zbh1"),
        joint(kind="stochastic", alpha={"num": 1, "den": 2},
              scenarios=[{"fwd": [[9] * 4] * 6, "bwd": [[19] * 4] * 6}, {"fwd": [[11] * 4] * 6, "bwd": [[21] * 4] * 6}])],
}


class Kind:
    """A kind of file: its bytes, and the arguments that read them from the name FILE."""

    def __init__(self, name, content, *arguments, seal=lambda content: content):
        self.name = name
        self.content = content
        self.arguments = arguments
        self.seal = seal  # Makes checksums of changed bytes right again.


def with_hash(content):
    """An execution plan with the hash of what it became, so that the command reads on."""
    try:
        head = json.loads(content)
        plan = json.dumps(head.pop("plan"))
        head["sha256"] = hashlib.sha256(plan.encode()).hexdigest()
    except (ValueError, AttributeError, TypeError, KeyError):
        return content
    return (json.dumps(head)[:-1] + f',"plan":{plan}}}').encode()


def call(command, folder, arguments):
    # Sanitizers reserve far more addresses than they use.
    sanitized = b"__asan_init" in open(command, "rb").read() if call.sanitized is None else call.sanitized
    call.sanitized = sanitized

    def limit():
        if not sanitized:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return subprocess.run([command, *arguments], cwd=folder, capture_output=True, timeout=LONGEST, preexec_fn=limit)


call.sanitized = None


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def events_of(plan, programs):
    """A Chrome trace of a step with these programs of its replicas."""
    devices = [device for program in programs for device in plan["lanes"][program["lanes"]]["devices"]]
    return [{"ph": "X", "name": f"{item[0]} " + ".".join(map(str, item[1:3])), "pid": rank, "ts": 0, "dur": 1}
            for rank, device in enumerate(devices) for lane in device for item in lane]


def kinds_of(command, folder):
    """All kinds; those that the command writes are made by it, in the folder."""
    kinds = []
    for name, problems in PROBLEMS.items():
        limit = ["--time-limit", "1"] if name in ("plan", "recompute") else []
        for number, problem in enumerate(problems):
            kinds.append(Kind(f"{name}-{number}.json", json.dumps(problem).encode(), name, "--problem", "FILE", *limit))
    for objective in ["closed_form", "period", "makespan", "variance"]:
        kinds.append(Kind(f"plan-{objective}.json", json.dumps(joint()).encode(), "plan", "--problem", "FILE",
                          "--objective", objective, "--time-limit", "1"))
    table = json.dumps(SAMPLES).encode()
    for ending, content in [("json", table), ("jsonl", b"\n".join(json.dumps(row).encode() for row in SAMPLES)),
                            ("csv", b"vit_num,token_num\n" + b"".join(b"%d,%d\n" % (k, 90 * k) for k in range(9)))]:
        kinds.append(Kind("table." + ending, content, "pack", "--lengths", "FILE", *CAPACITY, "--dp", "2"))
    kinds.append(Kind("keys.json", table, "pack", "--lengths", "FILE", "--key", "id", *CAPACITY))
    kinds.append(Kind("held.json", read(DATA, "held.json"), "rebalance", "--table", "FILE", "--resource", "images"))
    kinds.append(Kind("shape.json", read(DATA, "shape.json"), "generate", "--shape", "FILE", "--samples", "9", "--out", "-"))
    with open(os.path.join(folder, "lengths.json"), "wb") as file:
        file.write(table)

    def written(name, *arguments):
        done = call(command, folder, [*arguments, "--out", name])
        if done.returncode != 0:
            raise SystemExit(f"cannot make {name}: {done.stderr.decode()}")
        return read(folder, name)

    lengths = ["--lengths", "lengths.json"]
    kinds.append(Kind("table.npy", written("made.npy", "generate", "--like", "lengths.json", "--samples", "9"),
                      "pack", "--lengths", "FILE", "--resource", "images=0", "--resource", "tokens=1", *CAPACITY))
    for name, more in [("packs", []), ("groups", ["--sequence-parallel-size", "2"]), ("repeats", ["--repeat", "3/2"]),
                       ("padded", ["--last-step", "pad"])]:
        content = written(name + ".json", "pack", *lengths, *CAPACITY, "--dp", "2", *more)
        kinds.append(Kind(name + ".json", content, "pack", *lengths, "--evaluate", "FILE"))
    content = written("plan.json", "plan", *lengths, *SHAPE)
    kinds.append(Kind("plan.json", content, "plan", *lengths, *SHAPE, "--evaluate", "FILE"))
    written("executed.json", "plan", *lengths, *SHAPE, *CAPACITY, "--time-limit", "1", "--execution", "execution.json")
    content = read(folder, "execution.json")
    plan = json.loads(content)["plan"]
    programs = [plan["programs"][replica["program"]] for replica in plan["steps"][0]["replicas"]]
    ranks = [[1000] * len(turns) for program in programs for turns in program["turns"]]
    replay = ["replay", "--execution", "execution.json", "--measured", "FILE"]
    kinds.append(Kind("measured.json", json.dumps({"steps": [{"step": 0, "ranks": ranks}]}).encode(), *replay))
    kinds.append(Kind("events.json", json.dumps(events_of(plan, programs)).encode(), *replay))
    kinds.append(Kind("execution.json", content, "replay", "--execution", "FILE", "--measured", "measured.json",
                      seal=with_hash))
    profile = read(CHECKOUT, "examples", "snippets", "profile.json")
    kinds.append(Kind("profile.json", profile, "calibrate", "--profile", "FILE"))
    with open(os.path.join(folder, "profile.json"), "wb") as file:
        file.write(profile)
    content = written("fits.json", "calibrate", "--profile", "profile.json")
    kinds.append(Kind("fits.json", content, "calibrate", "--profile", "FILE"))
    device = {"id": "d", "memory_bytes": 10**11, "matrix_flops": 1e14, "attention_flops": 8e13, "memory_bandwidth": 1e12,
              "tensor_parallel_bandwidth": 2e11, "pipeline_bandwidth": 1e10, "data_parallel_bandwidth": 1e10,
              "latency_seconds": 1e-5, "layer_overhead_seconds": 1e-5}
    kinds.append(Kind("device.json", json.dumps(device).encode(), "plan", *lengths, *SHAPE, "--time-limit", "1",
                      "--device", "FILE"))
    model = {"id": "m", "vision": {"layers": 4, "hidden": 64, "a": 4, "ffn": 256},
             "llm": {"layers": 6, "hidden": 128, "a": 8, "kv": 8, "ffn": 256, "vocab": 1000},
             "projector_mlp": [[64, 128]], "vit_tokens_per_tile": 16, "llm_tokens_per_tile": 4}
    kinds.append(Kind("model.json", json.dumps(model).encode(), "plan", *lengths, "--model", "FILE", *SHAPE[2:],
                      "--time-limit", "1"))
    return kinds


def write_seeds(kinds, folder):
    """Each behind the byte that names its reader in fuzz_files.cpp."""
    files = {kind.name: kind.content for kind in kinds}
    problems = [name for name in files if re.fullmatch(r"(partition|recompute|simulate|plan)-\w+\.json", name)]
    readers = {2: ["model.json"], 3: ["device.json"], 4: ["profile.json", "fits.json"], 5: ["shape.json"], 7: problems}
    os.makedirs(folder, exist_ok=True)
    for reader, names in readers.items():
        for name in names:
            write(folder, name, reader, files[name])
    # Packs of the tables in fuzz_files.cpp.
    packs = {"version": "0.1.0", "inputs": [{"name": "a.json", "samples": 4, "sha256": 64 * "0"}],
             "capacity": {"images": 9, "tokens": 20}, "offsets": [0, 2, 4], "indices": [0, 2, 1, 3]}
    for name, more in {"dispatched": {"steps": [[[0], [1]]], "dropped": []},
                       "grouped": {"steps": [[[0, 1]]], "group_sizes": [[[2]]], "dropped": []}}.items():
        write(folder, name + ".json", 0, json.dumps(packs | more).encode())
        keys = {"keys": ["a", "b", "c", "d"], "keys_fingerprint": "a4988cea60dcdeca"}
        write(folder, "keyed-" + name + ".json", 1, json.dumps(packs | more | keys).encode())
    write(folder, "problem-plan.json", 6, json.dumps({"cuts": [3], "modes": [0, 0, 1, 0, 1, 1]}).encode())
    for name in ["measured.json", "events.json"]:
        write(folder, name, 8, files["execution.json"] + b"\0" + files[name])


def write(folder, name, reader, content):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(bytes([reader]) + content)


# ---- mutations ----------------------------------------------------------------------------------

NUMBERS = [0, -1, 1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, -2**63, 0.5, 1e-9, 1e18,
           1e308, -0.0]
OTHERS = [None, True, False, "", "x", "F0.0", "<script>", "\u0000", "é" * 50, [], {}, [0], {"x": 1}, [[]], "9" * 400]


def nodes(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inner:
        yield from nodes(element, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def change(value, draw):
    """One structural change of a JSON value, which is returned."""
    path = draw.choice(list(nodes(value)))
    if not path:
        return draw.choice([[value], {"x": value}, *OTHERS])
    holder, key = at(value, path[:-1]), path[-1]
    what = draw.randrange(9)
    old = holder[key]
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(old)] * draw.choice([1, 2, 30])
    elif what == 1:
        holder[str(key) + draw.choice(["", "s", "_"])] = copy.deepcopy(old)
        del holder[key]
    elif what == 2:
        holder[key] = copy.deepcopy(at(value, draw.choice(list(nodes(value)))))
    elif what == 3:
        holder[key] = draw.choice(OTHERS)
    elif what == 4 and isinstance(old, (list, dict)):
        for inner in list(old)[len(old) // 2:] if isinstance(old, dict) else []:
            del old[inner]
        if isinstance(old, list):
            del old[len(old) // 2:]
    elif isinstance(old, (int, float)) and not isinstance(old, bool) and what < 7:
        holder[key] = draw.choice([old + 1, old - 1, -old, old * 2, old * 1000])
    else:
        holder[key] = draw.choice(NUMBERS)
    return value


def changed_bytes(content, draw):
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8])):
        place = draw.randrange(len(content) + 1)
        what = draw.randrange(5)
        if what == 0:
            del content[place:place + draw.choice([1, 2, 16])]
        elif what == 1:
            content[place:place] = bytes(draw.randrange(256) for _ in range(draw.choice([1, 4])))
        elif what == 2:
            content[place:place] = content[place:place + draw.randrange(40)]
        elif what == 3 and place < len(content):
            content[place] ^= 1 << draw.randrange(8)
        elif what == 4:
            del content[place:]
    return bytes(content)


def mutated(content, draw):
    if draw.random() < 0.25:
        return changed_bytes(content, draw)
    try:
        value = json.loads(content)
    except ValueError:
        return changed_bytes(content, draw)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        value = change(value, draw)
    return json.dumps(value).encode()


# ---- the promise --------------------------------------------------------------------------------

def broken_promise(done):
    """What is wrong with the way the command ended; None where nothing is."""
    if done.returncode not in (0, 2, 3):
        return f"status {done.returncode}"
    if done.returncode == 2:
        if done.stdout:
            return "output beside an error"
        if not re.fullmatch(rb"omnibal: [^\n]{1,400}\n", done.stderr):
            return "not one line of at most 400 bytes"
        return None
    try:
        json.loads(done.stdout.decode("utf-8"))
    except ValueError:
        return "output that is no JSON"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("OMNIBAL_FUZZ_SECONDS", 60)))
    parser.add_argument("--inputs", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="mutations")
    parser.add_argument("--seeds")
    given = parser.parse_args()
    command = os.path.abspath(given.command)
    draw = random.Random(given.seed)
    statuses = {}
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        kinds = kinds_of(command, folder)
        if given.seeds:
            return write_seeds(kinds, given.seeds)
        for kind in kinds:  # As they are they must work: else nothing would be tested.
            with open(os.path.join(folder, kind.name), "wb") as file:
                file.write(kind.content)
            done = call(command, folder, [kind.name if word == "FILE" else word for word in kind.arguments])
            if done.returncode != 0:
                raise SystemExit(f"{kind.name} is refused: {done.stderr.decode()}")
        end = time.monotonic() + given.seconds
        inputs = 0
        while inputs < given.inputs and time.monotonic() < end:
            kind = draw.choice(kinds)
            name = "changed-" + kind.name
            content = kind.seal(mutated(kind.content, draw))
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
            arguments = [name if word == "FILE" else word for word in kind.arguments]
            if "--format" not in arguments:
                arguments += ["--format", "json"]
            before = set(os.listdir(folder))
            try:
                done = call(command, folder, arguments)
                statuses[done.returncode] = statuses.get(done.returncode, 0) + 1
                wrong = broken_promise(done)
                details = done.stderr.decode(errors="replace")[-2000:]
            except subprocess.TimeoutExpired:
                wrong, details = f"no answer within {LONGEST} s", ""
            if set(os.listdir(folder)) != before:
                wrong = wrong or "files are left"
            if wrong:
                failures += 1
                os.makedirs(given.keep, exist_ok=True)
                kept = os.path.join(given.keep, f"{given.seed}-{inputs}-{kind.name}")
                with open(kept, "wb") as file:
                    file.write(content)
                print(f"{wrong}: {kept}: omnibal {' '.join(arguments)}\n{details}", flush=True)
                if failures == 20:
                    break
            inputs += 1
    print(f"{inputs} inputs of {len(kinds)} kinds, seed {given.seed}; statuses {dict(sorted(statuses.items()))}; "
          f"{failures} broken promises")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
