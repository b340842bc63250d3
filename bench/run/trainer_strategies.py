#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the reference trainer runs under each way of planning, as tables of docs/results.md.

Each run trains all strategies (`omnibal-trainer --baseline all`) on the same samples, with costs measured
once. Of --runs runs the times are the least: what else the machine does only adds to them. `replayed` is
what the measured operations take in the plan's order, as if each rank had a core of its own; `measured` is
real time only where it has.

  python3 bench/run/trainer_strategies.py --runs 3 build/test/examples/trainer/omnibal-trainer --steps 300
"""
import argparse
import json
import os
import subprocess
import tempfile

parser = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("trainer")
parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of omnibal-trainer")
options = parser.parse_args()


def trained(folder):
    out = os.path.join(folder, "all.json")
    subprocess.run([options.trainer, "--baseline", "all", "--costs",
                    os.path.join(folder, "costs.json"), "--out", out, *options.arguments],
                   check=True, stdout=subprocess.DEVNULL)
    with open(out) as file:
        return json.load(file)["strategies"]


def least(runs, strategy, *keys):
    def value(run):
        found = run[strategy]
        for key in keys:
            found = found[key]
        return found
    return min(value(run) for run in runs)


def busy_per_step(run, strategy, rank):
    return run[strategy]["ranks"][rank]["busy"] / run[strategy]["steps"]


def row(title, cells):
    print("| " + " | ".join([title, *cells]) + " |")


def strategies_table(runs, strategies):
    names = [runs[0][s]["strategy"] for s in strategies]
    row("", names)
    print("|---" * (len(names) + 1) + "|")

    def line(title, text):
        row(title, [text(s) for s in strategies])

    def listed(text, count):
        return ", ".join(text(r) for r in range(count))

    ranks = len(runs[0][strategies[0]]["ranks"])
    line("ms per step of the ranks' operations", lambda s: listed(
        lambda r: f"{1000 * min(busy_per_step(run, s, r) for run in runs):.1f}", ranks))
    line("seconds of all steps, predicted", lambda s: f"{least(runs, s, 'predicted_seconds'):.2f}")
    line("replayed from measured operations",
         lambda s: f"{least(runs, s, 'replayed_seconds'):.2f}")
    line("measured", lambda s: f"{least(runs, s, 'seconds'):.2f}")
    line("bubble predicted, replayed, measured", lambda s: ", ".join(
        f"{least(runs, s, 'bubble', key):.2f}" for key in ["predicted", "replayed", "measured"]))
    line("skew of the replicas", lambda s: f"{runs[0][s]['skew']:.3f}")
    line("padding", lambda s: f"{100 * runs[0][s]['pad_ratio']:.0f} %")
    line("peak MiB of the ranks", lambda s: listed(
        lambda r: f"{runs[0][s]['ranks'][r]['peak_bytes'] / 2**20:.2f}", ranks))
    line("over planned", lambda s: listed(
        lambda r: "{:.3f}".format(runs[0][s]["ranks"][r]["peak_bytes"] /
                                  runs[0][s]["ranks"][r]["planned_peak_bytes"]), ranks))
    line("exact answers, held out",
         lambda s: f"{runs[0][s]['held_out']['exact']} of {runs[0][s]['held_out']['samples']}")
    line("steps to the loss that all reach", lambda s: str(runs[0][s]["to_loss"]["steps"]))
    line("seconds to it, replayed", lambda s: "{:.2f}".format(
        least(runs, s, "replayed_seconds") * runs[0][s]["to_loss"]["steps"] / runs[0][s]["steps"]))


def ablation_table(planned):
    first = planned["ablation"][0]["predicted_seconds"]
    print("| | predicted seconds | ratio |\n|---|---|---|")
    for each in planned["ablation"]:
        seconds = each["predicted_seconds"]
        row(each["name"], [f"{seconds:.2f}", f"{seconds / first:.2f}"])


with tempfile.TemporaryDirectory() as folder:
    runs = [trained(folder) for _ in range(options.runs)]
    trained_ones = [s for s, each in enumerate(runs[0]) if "refusal" not in each]
    for each in runs[0]:
        if "refusal" in each:
            print(f"{each['strategy']}: {each['refusal']}\n")
    strategies_table(runs, trained_ones)
    print()
    ablation_table(runs[0][-1])
