# SPDX-License-Identifier: Apache-2.0
import json

rank = 3
trained = []
train_on = trained.extend

# >>> docs/command-line.md
packs = json.load(open("packs.json"))

def samples_of(pack):
    return packs["indices"][packs["offsets"][pack]:packs["offsets"][pack + 1]]

for step in packs["steps"]:
    for pack in step[rank]:
        train_on(samples_of(pack))
# <<<

assert 0 < len(trained) == len(set(trained)), trained
