# SPDX-License-Identifier: Apache-2.0
import json

plan = json.load(open("execution.json"))["plan"]

# >>> docs/execution.md
def items_of(plan, program, device):
    program = plan["programs"][program]
    lanes = [iter(lane) for lane in plan["lanes"][program["lanes"]]["devices"][device]]
    return [next(lanes[int(turn, 36)]) for turn in program["turns"][device]]
# <<<

# A made-up measurement: every item takes a millisecond.
ranks = []
for replica in plan["steps"][0]["replicas"]:
    for device in range(plan["devices"]):
        items = items_of(plan, replica["program"], device)
        forwards = [item[2] for item in items if item[0] == "forward"]
        assert sorted(forwards) == list(range(len(replica["packs"]))), forwards
        assert items[-1][0] == "step", items[-1]
        ranks.append([1_000_000] * len(items))
json.dump({"steps": [{"step": 0, "ranks": ranks}]}, open("measured.json", "w"))
