#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How near the capacity search of `omnibal plan` comes to a dense grid of capacities.

Tables of different kinds are made with `omnibal generate`; each is planned once with the capacities
searched for and once with every capacity of a grid: the smallest that hold all samples times 1 ... 5,
in as many steps per resource as --steps says. Prints a row of a table per kind and fails where the
search takes more than --allowed longer than the best of the grid, or finds nothing where that does.
An hour of one core; not part of continuous integration.

  python3 bench/run/capacity_grid.py build/release/examples/cli/omnibal
"""
import argparse
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import tempfile


def shape(tiles, text, per_tile):
    return {"columns": [{"name": "vit_num", "buckets": tiles},
                        {"name": "token_num", "plus": {"vit_num": per_tile}, "buckets": text}]}


SHORT_TEXT = [[200, 999, 40], [1000, 1999, 40], [2000, 3500, 20]]
DIALOGUES = [[40, 299, 70], [300, 1200, 30]]
INTERN, LLAVA = ("internvl-chat-1.5", 8, 4, 2), ("llava-onevision-7b", 8, 4, 1)
SMALL, QWEN = ("internvl2-8b", 4, 4, 1), ("qwen2-vl-7b", 8, 4, 1)

# Kind: shape of the table; model, dp, pp, tp.
KINDS = {
    "single images": (shape([[1, 1, 30], [2, 6, 50], [7, 12, 20]], DIALOGUES, 256), INTERN),
    "half text": (shape([[0, 0, 50], [1, 12, 50]], SHORT_TEXT, 256), INTERN),
    "text-heavy, 80 %": (shape([[0, 0, 80], [1, 12, 20]], SHORT_TEXT, 256), INTERN),
    "98 % text": (shape([[0, 0, 98], [1, 12, 2]], SHORT_TEXT, 256), INTERN),
    "text alone": (shape([[0, 0, 1]], SHORT_TEXT, 256), SMALL),
    "long text": (shape([[0, 0, 90], [1, 8, 10]],
                        [[200, 999, 40], [1000, 2999, 40], [3000, 7999, 18], [8000, 12000, 2]], 256), SMALL),
    "several images": (shape([[0, 0, 30], [1, 5, 69], [24, 48, 1]], DIALOGUES, 256), INTERN),
    "many images": (shape([[1, 4, 50], [5, 24, 50]], DIALOGUES, 256), SMALL),
    "video": (shape([[8, 16, 40], [17, 32, 40], [33, 64, 20]], [[20, 120, 90], [121, 600, 10]], 64), SMALL),
    "audio": (shape([[1, 4, 50], [5, 15, 40], [16, 30, 10]], [[10, 60, 60], [61, 300, 40]], 150), LLAVA),
    "native resolution": (shape([[1, 3, 25], [4, 9, 45], [10, 20, 25], [21, 30, 5]], DIALOGUES, 196), QWEN),
    "long tail": (shape([[1, 2, 80], [3, 6, 15], [7, 24, 5]],
                        [[40, 299, 80], [300, 1500, 17], [1501, 6000, 3]], 256), INTERN),
    "all alike": (shape([[5, 5, 1]], [[120, 120, 1]], 256), INTERN),
    "images without text": (shape([[1, 12, 1]], [[10, 20, 1]], 256), SMALL),
}


def plan(arguments, table, cluster, capacity):
    model, dp, pp, tp = cluster
    command = [arguments.omnibal, "plan", "--lengths", table, "--model", model, "--dp", dp, "--pp", pp, "--tp", tp,
               "--memory", arguments.memory, "--global-batch", arguments.batch, "--capacity", capacity,
               "--format", "json"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    report = json.loads(done.stdout)
    if done.returncode == 3:
        return None
    chosen = report["planned"]["capacity"]
    return report["objective"], (chosen["images"], chosen["tokens"]), report["seconds"]["plan"]


def multiples(smallest, steps):
    return sorted({math.ceil(smallest * 5 ** (k / (steps - 1))) for k in range(steps)})


def dense_grid(table, steps):
    with open(table, encoding="utf-8") as file:
        samples = json.load(file)
    smallest = [max(1, max(sample[field] for sample in samples)) for field in ("vit_num", "token_num")]
    tiles = [1] if max(sample["vit_num"] for sample in samples) == 0 else multiples(smallest[0], steps)
    return [(first, second) for first in tiles for second in multiples(smallest[1], steps)]


def check(arguments, kind, folder):
    table = os.path.join(folder, "table.json")
    described = os.path.join(folder, "shape.json")
    with open(described, "w", encoding="utf-8") as file:
        json.dump(KINDS[kind][0], file)
    subprocess.run([arguments.omnibal, "generate", "--shape", described, "--samples", str(arguments.samples), "--out",
                    table], capture_output=True, check=True)
    cluster = KINDS[kind][1]
    found = plan(arguments, table, cluster, "auto")
    capacities = dense_grid(table, arguments.steps)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        plans = list(pool.map(lambda one: plan(arguments, table, cluster, f"images={one[0]},tokens={one[1]}"),
                              capacities))
    fits = [one for one in plans if one]
    best = min(fits, default=None)
    good = not best or found is not None and found[0] <= (1 + arguments.allowed) * best[0]
    text = "none" if not found else f"{found[0]:.1f} s ({found[1][0]}, {found[1][1]})"
    grid = "none" if not best else f"{best[0]:.1f} s ({best[1][0]}, {best[1][1]})"
    loss = "" if not (found and best) else f"{100 * (found[0] / best[0] - 1):+.1f} %"
    seconds = "" if not found else f"{found[2]:.1f} s"
    print(f"| {kind} | {cluster[0]} | {text} | {grid} | {len(fits)} of {len(plans)} | {loss} | {seconds} |", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("omnibal", help="the command")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these kinds")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--memory", default="80GiB")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--allowed", type=float, default=0.03)
    arguments = parser.parse_args()
    print("| kind | model | searched | best of the grid | fit | difference | search |\n|---|---|---|---|---|---|---|",
          flush=True)
    results = []
    for kind in arguments.kind or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            results.append(check(arguments, kind, folder))
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
