# SPDX-License-Identifier: Apache-2.0
"""omnibal-trainer learns: after 300 steps on two ranks it answers questions about pictures that it
has not seen, and a model that sees no pictures does not. With --seeds, in bf16 as well.

    python3 learning_test.py build/test/examples/trainer/omnibal-trainer [--seeds 1,2,3]
"""
import json
import os
import subprocess
import sys
import tempfile

TRAINER = sys.argv[1]
SEEDS = sys.argv[3].split(",") if sys.argv[2:3] == ["--seeds"] else ["1"]
PRECISIONS = ["f32", "bf16"] if "--seeds" in sys.argv else ["f32"]


def train(folder, precision, *arguments):
    out = os.path.join(folder, "result.json")
    costs = os.path.join(folder, f"costs of {precision}.json")
    subprocess.run([TRAINER, "--precision", precision, "--costs", costs, "--out", out, *arguments],
                   check=True, timeout=600)
    with open(out) as file:
        return json.load(file)


def share(result):
    return result["held_out"]["exact"] / result["held_out"]["samples"]


def expect_learned(result, what):
    assert len(result["loss"]) == 300 and len(result["ranks"]) == 2
    assert share(result) >= 0.6, f"{what}: {share(result)} of the answers are exact"
    for rank in result["ranks"]:
        assert rank["peak_saved_bytes"] == rank["predicted_peak_saved_bytes"], rank
        assert rank["peak_bytes"] == rank["predicted_peak_bytes"], rank
        assert 0.98 <= rank["peak_bytes"] / rank["planned_peak_bytes"] <= 1, rank


with tempfile.TemporaryDirectory() as folder:
    for seed in SEEDS:
        for precision in PRECISIONS:
            expect_learned(train(folder, precision, "--seed", seed), f"seed {seed}, {precision}")
        blind = train(folder, "f32", "--seed", seed, "--blind")
        assert share(blind) <= 0.4, f"seed {seed}: {share(blind)} of a blind model's are exact"
        # The loss of a blind model falls too: that is why answers count.
        assert blind["loss"][-1] < 0.6 * blind["loss"][0]
