# SPDX-License-Identifier: Apache-2.0
"""Checks an execution plan by what docs/execution.md says alone: no code is shared with the command.

check(text) returns what is wrong with the bytes of the file, as a list of sentences. run(plan) executes
every step in a model in which a send ends only when its receive is issued.
"""
import collections
import hashlib
import json

OPERATIONS = ("forward", "backward", "weight_gradient")
OTHER_END = {"send_activation": ("receive_activation", 1), "receive_activation": ("send_activation", -1),
             "send_gradient": ("receive_gradient", -1), "receive_gradient": ("send_gradient", 1)}
COLLECTIVES = ("reduce", "gather")


def check(text):
    file = json.loads(text)
    faults = []
    if file["format"] != "omnibal-execution" or file["version"] != 2:
        faults.append("another format or version")
    body = text[text.index('"plan":') + len('"plan":'):text.rindex("}")]
    if hashlib.sha256(body.encode()).hexdigest() != file["sha256"]:
        faults.append("the hash is not that of the plan")
    return faults + check_plan(file["plan"])


def check_plan(plan):
    faults = []
    samples = sorted([sample for pack in plan["packs"] for sample in pack["samples"]] + plan["skipped"])
    if samples != list(range(sum(table["samples"] for table in plan["inputs"]))):
        faults.append("not every sample is in exactly one pack")
    packs = sorted(pack for step in plan["steps"] for replica in step["replicas"] for pack in replica["packs"])
    if packs != list(range(len(plan["packs"]))):
        faults.append("not every pack is in exactly one micro-batch")
    layers = [layer for stage in plan["stages"] for layer in range(*stage["layers"])]
    if layers != list(range(len(plan["layers"]))):
        faults.append("not every layer is in exactly one stage")
    try:
        programs = [expand(plan, program) for program in plan["programs"]]
    except (IndexError, ValueError) as wrong:
        return faults + [f"turns do not take every item once: {wrong}"]
    for number, step in enumerate(plan["steps"]):
        if len(step["replicas"]) != plan["replicas"]:
            faults.append(f"step {number} forgets a replica")
            continue
        for name, replica in enumerate(step["replicas"]):
            microbatches, _ = programs[replica["program"]]
            if len(replica["packs"]) > microbatches:
                faults.append(f"step {number}: replica {name} has more packs than micro-batches")
            if not replica["packs"] and microbatches:
                faults.append(f"step {number}: replica {name} is idle and has operations")
        faults += run(plan, [programs[replica["program"]][1] for replica in step["replicas"]], number)
    for number, program in enumerate(programs):
        faults += missing(plan, *program, number)
    return faults


def expand(plan, program):
    """The micro-batches of a program, and the items of each device in order."""
    lanes = plan["lanes"][program["lanes"]]
    devices = []
    for lists, turns in zip(lanes["devices"], program["turns"], strict=True):
        rest = [collections.deque(lane) for lane in lists]
        devices.append([rest[int(digit, 36)].popleft() for digit in turns])
        if any(rest):
            raise ValueError(f"{rest} are left")
    return lanes["microbatches"], devices


def missing(plan, microbatches, devices, number):
    """Operations, reductions and steps, each of which a stage has once."""
    kinds = OPERATIONS if plan["splits_backward"] else OPERATIONS[:2]
    wanted = collections.Counter()
    for j, stage in enumerate(plan["stages"]):
        device = stage["device"]
        for kind in kinds:
            wanted.update((device, kind, j, m) for m in range(microbatches))
        if stage["trained"]:
            wanted[device, "step", j] += 1
            if plan["replicas"] > 1:
                wanted[device, "reduce", j] += 1
                if plan["shards_optimizer"]:
                    wanted[device, "gather", j] += 1
    given = collections.Counter((device, *item) for device, items in enumerate(devices)
                                for item in items if item[0] not in OTHER_END)
    return [] if given == wanted else [f"program {number} lacks or repeats {(given - wanted) + (wanted - given)}"]


def inputs_of(plan, item):
    """What an item needs of its own rank: any of the alternatives of each."""
    kind, stage = item[0], item[1]
    if kind == "forward":
        m = item[2]
        return [[("forward", stage - 1, m), ("receive_activation", stage, m)]] if stage else []
    if kind == "backward":
        m = item[2]
        needs = [[("forward", stage, m)]]
        if stage + 1 < len(plan["stages"]):
            needs.append([("backward", stage + 1, m), ("receive_gradient", stage, m)])
        return needs
    if kind in ("weight_gradient", "send_gradient"):
        return [[("backward", stage, item[2])]]
    if kind == "send_activation":
        return [[("forward", stage, item[2])]]
    return []


def run(plan, replicas, number):
    """Executes a step, one item after the other on every rank; says which ranks wait for ever."""
    devices = plan["devices"]
    ranks = [items for replica in replicas for items in replica]
    at, done, ready = [0] * len(ranks), [set() for _ in ranks], collections.deque(range(len(ranks)))

    def head(rank):
        return tuple(ranks[rank][at[rank]]) if at[rank] < len(ranks[rank]) else None

    def can_start(rank, item):
        return all(any(one in done[rank] for one in choice) for choice in inputs_of(plan, item))

    def finish(rank):
        done[rank].add(head(rank)[:3])
        at[rank] += 1
        ready.append(rank)

    while ready:
        rank = ready.popleft()
        item = head(rank)
        if item is None or not can_start(rank, item):
            continue
        if item[0] in OTHER_END:
            kind, distance = OTHER_END[item[0]]
            peer = rank // devices * devices + item[3]
            if head(peer) == (kind, item[1] + distance, item[2], rank % devices) and can_start(peer, head(peer)):
                finish(peer)
                finish(rank)
        elif item[0] in COLLECTIVES:
            replicas = range(rank % devices, len(ranks), devices)
            if all(head(one) == item for one in replicas):
                for one in replicas:
                    finish(one)
        else:
            finish(rank)
    return [f"step {number}: rank {rank} waits for ever at {head(rank)}"
            for rank in range(len(ranks)) if head(rank) is not None]
