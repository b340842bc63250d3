# SPDX-License-Identifier: Apache-2.0
"""The problems of golden.py: small ones for every sub-command, schedule, objective and model.

inputs() are files by name, generated() those that the command makes by itself first, and cases()
has, for each sub-command, the runs of each case, which follow each other in one folder.
"""

SCHEDULES = ("gpipe", "1f1b", "interleaved", "zbh1", "zbv")
TWO_STAGES_PER_DEVICE = ("interleaved", "zbv")
SPLIT_BACKWARD = ("zbh1", "zbv")
OBJECTIVES = ("bottleneck", "closed_form", "blocking_bottleneck", "period", "makespan", "variance")
MODELS = ("internvl2-8b", "llava-1.5-7b", "llava-1.5-13b", "llava-onevision-7b",
          "qwen2-vl-7b", "qwen2.5-vl-7b")
LARGE_MODELS = ("internvl2-40b", "internvl2-llama3-76b")


def number(k, most):
    """A number from 0 to most that looks drawn at random, the same for the same k for ever."""
    state = k * 2654435761 + 12345
    for _ in range(3):
        state = (state ^ state >> 13) * 0x5BD1E995 % 2**32
    return (state >> 8) % (most + 1)


# ---- planning problems of plain numbers ---------------------------------------------------------

def layer(k):
    forward, kept = 3 + number(k, 30), 4 + number(k + 100, 40)
    return {"name": f"layer{k}", "fwd": forward, "bwd": 2 * forward + number(k + 200, 5), "wgrad": forward,
            "static": 20 + number(k + 300, 10), "cf": number(k + 400, 9), "cb": number(k + 500, 9),
            "modes": [{"name": "none", "extra": 0, "act": kept, "act_w": kept // 3, "trans": 1},
                      {"name": "selective", "extra": 3, "act": kept // 2, "act_w": kept // 5, "trans": 4},
                      {"name": "full", "extra": forward, "act": 3, "act_w": 1, "trans": kept}]}


def joint(layers=14, **more):
    return {"kind": "joint", "schedule": "1f1b", "stages": 4, "microbatches": 8,
            "layers": [layer(k) for k in range(layers)], "mem_limit": [230] * 4, **more}


def scheduled(schedule):
    """A problem whose memory binds, of a size that every search finishes."""
    if schedule in TWO_STAGES_PER_DEVICE:
        return joint(stages=2, virtual=2, mem_limit=[440] * 2, schedule=schedule)
    return joint(mem_limit=[330] * 4 if schedule == "gpipe" else [230] * 4, schedule=schedule)


def stochastic():
    def times(factor, seed):
        return [[factor * (5 + number(seed + 10 * l + m, 9)) for m in range(4)] for l in range(8)]
    return {**joint(8, microbatches=4, stages=3, mem_limit=[200] * 3), "kind": "stochastic", "alpha": 0.5,
            "scenarios": [{"fwd": times(1, 1000 * s), "bwd": times(2, 1000 * s)} for s in range(5)]}


def simulate(schedule, **more):
    stages = 6 if schedule in TWO_STAGES_PER_DEVICE else 3
    times = {"fwd": [3 + number(s, 4) for s in range(stages)], "bwd": [7 + number(s + 9, 5) for s in range(stages)],
             "cf": [1] * (stages - 1), "cb": [2] * (stages - 1), "act": [10 + s for s in range(stages)],
             "recompute": [s % 3 for s in range(stages)]}
    if schedule in SPLIT_BACKWARD:
        times["wgrad"] = [2 + s % 2 for s in range(stages)]
    return {"kind": "simulate", "schedule": schedule, "stages": 3, "virtual": stages // 3, "microbatches": 6,
            **times, **more}


DEVICE_ORDER = [["F0.0", "F0.1", "B0.0", "B0.1"], ["F1.0", "F1.1", "B1.1", "B1.0"]]


# ---- inputs of the others -----------------------------------------------------------------------

SHAPE = {"columns": [{"name": "vit_num", "buckets": [[1, 1, 2], [2, 5, 3], [9, 9, 1]]},
                     {"name": "token_num", "plus": {"vit_num": 256}, "buckets": [[40, 99, 6], [100, 900, 3]]}]}
SPEECH = {"columns": [{"name": "frames", "buckets": [[0, 0, 1], [100, 1500, 4]]},
                      {"name": "words", "buckets": [[1, 80, 1]]}, {"name": "turns", "buckets": [[1, 6, 1]]}]}


def keyed(samples):
    """A table whose samples have names, and the same from its end."""
    rows = [{"id": f"s{k}", "vit_num": 1 + number(k, 4), "token_num": 300 + number(k + 500, 1200)}
            for k in range(samples)]
    return rows, rows[::-1]


def loaded_ranks(ranks, each):
    samples = [{"rank": s // each, "images": 1 + number(s, 4), "tokens": 300 + number(s + 77, 1200),
                "bytes": 1000 + number(s + 154, 9000), "cost": 1 + number(s + 231, 99)} for s in range(ranks * each)]
    return {"ranks": ranks, "samples": samples}


WORKLOADS = ((1, 300, 50000), (2, 900, 300000), (4, 1500, 700000), (6, 2500, 2000000), (9, 4000, 3000000),
             (9, 1200, 500000), (3, 3800, 8000000))


def measured(name, seconds, kept, noise):
    """Rows of a layer in two recompute modes, off by up to `noise` percent."""
    rows = []
    for k, (tiles, tokens, squared) in enumerate(WORKLOADS):
        off = 1 + noise * (number(k, 200) - 100) / 10000
        for mode, share in (("none", 1.0), ("full", 0.1)):
            forward = seconds(tiles, tokens, squared) * off
            rows.append({"name": name, "mode": mode, "tiles": tiles, "tokens": tokens, "squared_tokens": squared,
                         "forward_seconds": forward, "backward_seconds": forward * (2 if share == 1 else 3),
                         "kept_bytes": kept(tiles, tokens) * share * off,
                         "transient_bytes": 0 if share == 1 else kept(tiles, tokens)})
    return rows


def profile(noise):
    return {"tp": 2, "layers": measured("vision", lambda tiles, *_: 5e-5 + 1e-3 * tiles, lambda tiles, _: 3e7 * tiles,
                                        noise)
            + measured("language", lambda _, tokens, squared: 5e-5 + 2e-6 * tokens + 1e-10 * squared,
                       lambda _, tokens: 9e4 * tokens, noise)}


MODEL = {"id": "mine", "vision": {"layers": 6, "hidden": 256, "a": 4, "ffn": 1024},
         "llm": {"layers": 8, "hidden": 512, "a": 8, "kv": 4, "ffn": 2048, "vocab": 1000},
         "projector_mlp": [[256, 512], [512, 512]], "vit_tokens_per_tile": 257, "llm_tokens_per_tile": 256}
DEVICE = {"memory_bytes": 2**34, "matrix_flops": 1e14, "attention_flops": 1e14, "memory_bandwidth": 1e12,
          "tensor_parallel_bandwidth": 1e11, "pipeline_bandwidth": 1e10, "data_parallel_bandwidth": 1e10,
          "latency_seconds": 1e-5, "layer_overhead_seconds": 0}


def inputs():
    rows, turned = keyed(60)
    files = {"shape.json": SHAPE, "speech.json": SPEECH, "keyed.json": rows, "turned.json": turned,
             "pair.json": [{"vit_num": 2, "token_num": 700}, {"vit_num": 9, "token_num": 5000}],
             "negative.json": [{"vit_num": 1, "token_num": -5}],
             "no-weight.json": {"columns": [{"name": "a", "buckets": [[1, 2, 0]]}]},
             "stochastic.json": stochastic(), "model.json": MODEL, "device.json": DEVICE,
             "models.json": {"models": [{**MODEL, "id": "other"}, MODEL]},
             "slow.json": {**DEVICE, "matrix_flops": 0},
             "exact.json": profile(0), "noisy.json": profile(4),
             "alone.json": {"layers": [{"name": "vision", "tiles": 8, "forward_seconds": 0.01}]},
             "early.json": {"layers": [{"name": "vision", "tiles": 8, "forward_seconds": -1}]}}
    for schedule in SCHEDULES:
        files[f"{schedule}.json"] = scheduled(schedule)
        files[f"{schedule}-step.json"] = simulate(schedule)
    files["ordered-step.json"] = {"kind": "simulate", "schedule": "1f1b", "stages": 2, "microbatches": 2, "fwd": [1, 2],
                                  "bwd": [3, 4], "cf": [1], "cb": [1], "device_order": DEVICE_ORDER}
    files["scaled-step.json"] = simulate("1f1b", mb_scale=[1, 2, 3, 1, 2, 4])
    files["bad-step.json"] = simulate("1f1b", recompute=[0, 99, 0])
    files["ruled.json"] = joint(tied=[[0, 13]], together=[[1, 2]], apart=[[4, 5]], memory_margin=5,
                                reserved=[3, 0, 0, 9], mem_limit=[300] * 4,
                                devices=[{"speed": {"num": 3, "den": 2}}, {}, {}, {}])
    files["frozen.json"] = joint(layers=8, mem_limit=[120] * 4)
    for k in range(3):
        files["frozen.json"]["layers"][k]["trainable"] = False
    files["ample.json"] = joint(mem_limit=None)
    files["tight.json"] = joint(mem_limit=[100] * 4)
    files["split.json"] = joint(together=[[0, 3]], apart=[[0, 3]])
    files["short.json"] = joint(layers=3)
    files["half.json"] = joint(memory_margin=0.5)
    files["cuts.json"] = {"cuts": [0, 4, 7, 10, 14], "modes": [2] * 14}
    files["few-cuts.json"] = {"cuts": [0, 7, 14], "modes": [1] * 14}
    files["kept.json"] = {"cuts": [0, 4, 7, 10, 14], "modes": [0] * 14}
    files["chain.json"] = {"kind": "ccp", "weights": [1 + number(k, 30) for k in range(24)], "parts": 5}
    files["zeros.json"] = {"weights": [0, 0, 7, 0], "parts": 3}
    files["few.json"] = {"weights": [1, 2], "parts": 3}
    files["minus.json"] = {"weights": [1, -2], "parts": 1}
    for name, budget in (("stage", 330), ("rich-stage", 2000), ("poor-stage", 60)):
        files[f"{name}.json"] = {"kind": "knapsack", "inflight": 3, "budget": budget,
                                 "layers": [layer(k) for k in range(9)]}
    files["no-flight.json"] = {**files["stage.json"], "inflight": 0}
    files["four-ranks.json"] = loaded_ranks(4, 4)
    files["many-ranks.json"] = loaded_ranks(16, 4)
    files["rank-beyond.json"] = {"ranks": 2, "samples": [{"rank": 2, "cost": 1, "bytes": 1}]}
    return files


def generated():
    """Files by name, each with the words that make it."""
    return {"lengths.json": "generate --shape shape.json --samples 240 --seed 3",
            "other.csv": "generate --shape shape.json --samples 60 --seed 4",
            "speech.npy": "generate --shape speech.json --samples 150 --seed 5",
            "speech.csv": "generate --shape speech.json --samples 150 --seed 5"}


# ---- runs ---------------------------------------------------------------------------------------

def pack(*more, capacity="images=10,tokens=4096"):
    return " ".join(["pack --lengths lengths.json --capacity", capacity, *more])


def pack_cases():
    out = "--out packs.json"
    isf = "--method isf --threshold images=9,tokens=3968"
    runs = {"balanced": pack("--dp 4", out), "text": pack("--dp 4 --format text"), "seed": pack("--seed 7", out),
            "isf": pack(isf, "--iterations 7", out),
            "isf, published stream": pack(isf, "--stream published", out),
            "streaming": pack("--method streaming --buffer 40 --age-limit 100", out),
            "streaming, good enough": pack("--method streaming --buffer 40 --good-enough 900", out),
            "last step dropped": pack("--dp 4 --micro-batches 3 --last-step drop", out),
            "last step padded": pack("--dp 4 --micro-batches 3 --last-step pad", out),
            "last step short": pack("--dp 4 --micro-batches 3 --last-step short", out),
            "levelled": pack("--level 4", out), "epoch": pack("--epoch 2", out),
            "window": pack("--dp 4 --window 4", out), "largest first": pack("--dp 4 --largest-first", out),
            "sequence parallel": pack("--dp 2 --micro-batches 2 --sequence-parallel-size 2", out),
            "oversize in own packs": pack("--oversize own_pack", out, capacity="images=5,tokens=2048"),
            "oversize skipped": pack("--oversize skip", out, capacity="images=5,tokens=2048"),
            "oversize refused": pack(capacity="images=5,tokens=2048"),
            "capacity searched for": pack(out, capacity="auto"),
            "capacity searched for below a limit": pack("--max tokens=9000", out, capacity="auto"),
            "capacity searched for a number of samples": pack("--target-samples-per-pack 6", out, capacity="auto"),
            "two tables, repeated": "pack --lengths lengths.json other.csv --repeat 1,5/2 --epoch 1 "
                                    "--capacity images=10,tokens=4096 " + out,
            "one resource": "pack --lengths speech.npy --resource words=1 --capacity words=200 " + out,
            "three resources": "pack --lengths speech.csv --resource audio=frames --resource text=words "
                               "--resource turns=turns --capacity audio=3000,text=200,turns=12 " + out,
            "no capacity": "pack --lengths lengths.json",
            "capacity of nothing": pack(capacity="images=0,tokens=4096"),
            "threshold without isf": pack("--threshold images=9,tokens=3968"),
            "negative load": "pack --lengths negative.json --capacity images=10,tokens=4096"}
    cases = {name: [words] for name, words in runs.items()}
    cases["evaluated"] = [pack("--dp 4", out), "pack --lengths lengths.json --evaluate packs.json"]
    cases["evaluated in another order"] = [
        "pack --lengths keyed.json --key id --capacity images=10,tokens=4096 --dp 2 " + out,
        "pack --lengths turned.json --key id --evaluate packs.json --out now.json"]
    cases["evaluated with other tables"] = [pack(out), "pack --lengths pair.json --evaluate packs.json"]
    return cases


def generate_cases():
    shape = "generate --shape shape.json --samples 50 --seed 9 --out table."
    cases = {ending: [shape + ending] for ending in ("json", "jsonl", "csv", "npy")}
    cases["like"] = ["generate --like lengths.json --text-only 0.25 --samples 80 --out like.csv"]
    cases["three columns"] = ["generate --shape speech.json --samples 20 --out speech-table.csv --format text"]
    cases["unknown ending"] = ["generate --shape shape.json --samples 3 --out table.txt"]
    cases["weights of nothing"] = ["generate --shape no-weight.json --samples 3 --out table.csv"]
    return cases


def partition_cases():
    words = {"chain": "chain.json --out cuts-of-chain.json", "zeros": "zeros.json", "text": "chain.json --format text",
             "fewer weights than parts": "few.json --out cuts-of-chain.json", "negative weight": "minus.json",
             "wrong kind": "stage.json"}
    return {name: ["partition --problem " + rest] for name, rest in words.items()}


def recompute_cases():
    words = {"stage": "stage.json --out modes.json", "ample budget": "rich-stage.json",
             "text": "stage.json --format text", "infeasible": "poor-stage.json --out modes.json",
             "nothing in flight": "no-flight.json"}
    return {name: ["recompute --problem " + rest] for name, rest in words.items()}


def simulate_cases():
    cases = {schedule: [f"simulate --problem {schedule}-step.json --trace trace.json --svg step.svg --out step.json"]
             for schedule in SCHEDULES}
    cases["order of one's own"] = ["simulate --problem ordered-step.json --trace trace.json --svg step.svg"]
    cases["micro-batches of different size"] = ["simulate --problem scaled-step.json"]
    cases["text"] = ["simulate --problem zbh1-step.json --format text"]
    cases["more recomputation than backward"] = ["simulate --problem bad-step.json"]
    return cases


def rebalance_cases():
    words = {"cost": "four-ranks.json --out moves.json", "resource": "many-ranks.json --resource tokens",
             "weights": "many-ranks.json --weights images=1200,tokens=4",
             "tolerance": "many-ranks.json --resource tokens --tolerance 0.1",
             "text": "four-ranks.json --resource images --format text", "rank beyond": "rank-beyond.json",
             "field missing": "four-ranks.json --resource audio"}
    return {name: ["rebalance --table " + rest] for name, rest in words.items()}


def calibrate_cases():
    words = {"exact": "exact.json --out fits.json", "noisy": "noisy.json --out fits.json",
             "undetermined": "alone.json", "text": "noisy.json --format text", "negative time": "early.json"}
    return {name: ["calibrate --profile " + rest] for name, rest in words.items()}


def problem_cases():
    """omnibal plan --problem."""
    cases = {}
    for schedule in SCHEDULES:
        for objective in OBJECTIVES:
            cases[f"problem, {schedule}, {objective}"] = [
                f"plan --problem {schedule}.json --objective {objective} --out solution.json"]
    for schedule in ("gpipe", "1f1b"):
        cases[f"problem, {schedule}, paper"] = [
            f"plan --problem {schedule}.json --method published --objective {objective}"
            for objective in OBJECTIVES]
    for objective in ("expected_makespan", "worst_makespan", "cvar"):
        cases[f"scenarios, {objective}"] = [f"plan --problem stochastic.json --objective {objective}"]
    cases["scenarios, paper"] = ["plan --problem stochastic.json --method published"]
    cases["scenarios, alpha"] = ["plan --problem stochastic.json --objective cvar --alpha 0.8"]
    words = {"rules and speeds": "ruled.json --objective makespan", "frozen layers": "frozen.json",
             "ample memory": "ample.json --objective makespan", "text": "1f1b.json --format text",
             "short of memory": "tight.json --out solution.json", "short of memory, text": "tight.json --format text",
             "together and apart": "split.json", "fewer layers than stages": "short.json",
             "evaluated": "1f1b.json --objective makespan --evaluate cuts.json",
             "evaluated, short of memory": "1f1b.json --evaluate kept.json",
             "evaluated, too few cuts": "1f1b.json --evaluate few-cuts.json",
             "paper with zbh1": "zbh1.json --method published", "half a byte": "half.json",
             "unknown objective": "1f1b.json --objective botleneck",
             "objective without scenarios": "stochastic.json --objective period"}
    return {**cases, **{f"problem, {name}": ["plan --problem " + rest] for name, rest in words.items()}}


def job(*more, model="internvl2-8b", cluster="--dp 2 --pp 4 --tp 2", memory="40GiB", capacity="images=10,tokens=4096"):
    return " ".join(["plan --lengths lengths.json --model", model, cluster, "--memory", memory,
                     "--global-batch 60 --capacity", capacity, *more])


def job_cases():
    """omnibal plan --lengths."""
    runs = {f"model {model}": job("--out plan.json", model=model) for model in MODELS}
    runs["model internvl-chat-1.5"] = job("--out plan.json", model="internvl-chat-1.5", memory="80GiB")
    for model in LARGE_MODELS:
        runs[f"model {model}"] = job("--shard-optimizer --sequence-parallel", model=model,
                                     cluster="--dp 2 --pp 8 --tp 4")
    runs |= {f"device {device}": job("--device", device) for device in ("a100", "h100", "h200")}
    written = "--shard-optimizer --out plan.json --report plan.html --schedule"
    runs |= {f"schedule {name}": job(written, name, memory="34GiB")
             for name in ("gpipe", "1f1b", "interleaved --virtual 2", "zbh1")}
    runs |= {f"{part} frozen": job("--freeze", part) for part in ("vision", "language")}
    own = "--device device.json --report plan.html"
    runs |= {"memory options": job("--optimizer-bytes 8 --reserve 4GiB --margin 0.1 --sequence-parallel"),
             "capacity searched for": job("--out plan.json", capacity="auto"),
             "shape searched for": job("--out plan.json", cluster="--gpus 16"), "text": job("--format text"),
             "seed": job("--seed 7"), "profile": job("--profile noisy.json"),
             "two tables": job().replace("lengths.json", "lengths.json other.csv"),
             "own model and device": job(own, model="model.json", memory="16GiB"),
             "own model of several": job(own, model="models.json#mine", memory="16GiB"),
             "short of memory": job("--out plan.json", memory="12GiB"),
             "short of memory, text": job("--format text", memory="12GiB"),
             "more stages than layers": job(cluster="--dp 1 --pp 97 --tp 1"), "unknown model": job(model="gpt-9"),
             "unknown device": job("--device a10"), "tp that divides no head": job(cluster="--dp 2 --pp 4 --tp 5"),
             "memory below the reserve": job(memory="5GiB"),
             "capacity below a sample": job(capacity="images=4,tokens=4096"),
             "capacity below a sample, rejected": job("--oversize reject", capacity="images=4,tokens=4096"),
             "capacity below a sample, skipped": job("--oversize skip", capacity="images=4,tokens=4096"),
             "virtual stages without interleaving": job("--virtual 2"),
             "objective of a problem": job("--objective period"),
             "device without speed": job("--device slow.json"), "neither tables nor problem": "plan",
             "shape beside devices": job(cluster="--dp 2 --pp 4 --tp 2 --gpus 16")}
    cases = {f"job, {name}": [words] for name, words in runs.items()}
    cases["job, evaluated"] = [job("--out plan.json"), job("--evaluate plan.json"),
                               job("--evaluate plan.json --device h100 --format text"),
                               job("--evaluate plan.json", memory="14GiB"),
                               job("--evaluate plan.json", cluster="--dp 2 --pp 8 --tp 2")]
    cases["job, calibrated"] = ["calibrate --profile noisy.json --out fits.json", job("--profile fits.json")]
    return cases


def cases():
    return {"plan": {**job_cases(), **problem_cases()}, "pack": pack_cases(), "generate": generate_cases(),
            "partition": partition_cases(), "recompute": recompute_cases(), "rebalance": rebalance_cases(),
            "simulate": simulate_cases(), "calibrate": calibrate_cases()}
