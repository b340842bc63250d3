#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What users pay today: the functions of torch and transformers that make the arrays of packed batches, beside
the C library's host forms on one core. Results are compared before times are.

usage: peers_bench.py PATH-OF-LIBRARY [--rounds N]

Rows whose package is missing are left out with a message.
"""
import argparse
import inspect
import pathlib
import statistics
import sys
import time

CONSUMERS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "indices" / "consumers"
sys.path.insert(0, str(CONSUMERS))

try:
    import torch

    from library import Library
except ImportError as missing:
    print(f"nothing measured: {missing}")
    sys.exit(77)

IMAGE, TEXT, START = 9, 1, 8  # token ids of the made-up vocabulary


def milliseconds(call, rounds):
    """The median of some calls, after one that is not counted."""
    call()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def documents_of(slots):
    """Documents of 100 to 1,600 tokens that fill a row."""
    lengths = []
    while sum(lengths) < slots:
        lengths.append(min(slots - sum(lengths), 100 + len(lengths) * 7919 % 1500))
    return lengths


def flattening_collator(library, slots):
    """Position ids of a packed batch: transformers' collator, which makes a list of each document."""
    from transformers import DataCollatorWithFlattening
    lengths = documents_of(slots)
    collator = DataCollatorWithFlattening(return_tensors="pt")
    features = [{"input_ids": [TEXT] * length} for length in lengths]
    mine = lambda: library.position_ids(lengths, slots)
    assert torch.equal(mine(), collator(features)["position_ids"][0])
    return mine, lambda: collator(features)


def block_mask(library, slots):
    """FlexAttention's BlockMask of documents: create_block_mask looks at every cell."""
    from torch.nn.attention.flex_attention import create_block_mask
    lengths = documents_of(slots)
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))

    def causal_in_document(_batch, _head, query, key):
        return (query >= key) & (documents[query] == documents[key])

    def mine():
        return library.blocks(*library.intervals(lengths, slots, "causal"), 128)

    def theirs():
        return create_block_mask(causal_in_document, None, None, slots, slots, device="cpu", BLOCK_SIZE=128)

    made, found = theirs(), mine()
    assert torch.equal(found["kv_num_blocks"], made.kv_num_blocks[0, 0])
    assert torch.equal(found["full_kv_num_blocks"], made.full_kv_num_blocks[0, 0])
    return mine, theirs


def rope_index(library, slots):
    """Rotary positions of a row with 64 images of 16 x 16 cells: Qwen2.5-VL's get_rope_index."""
    from transformers import Qwen2_5_VLConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel
    config = Qwen2_5_VLConfig(image_token_id=IMAGE, vision_start_token_id=START, video_token_id=7)
    with torch.device("meta"):
        model = Qwen2_5_VLModel(config)
    text = slots // 64 - 256 - 1
    tokens = torch.tensor([([TEXT] * text + [START] + [IMAGE] * 256) * 64])
    grids = torch.tensor([[1, 32, 32]] * 64)
    types = (tokens[0] == IMAGE).to(torch.uint8)

    # Newer versions take the types; older ones find the images by their token.
    known = inspect.signature(model.get_rope_index).parameters
    given = {"mm_token_type_ids": types[None].to(torch.int64)} if "mm_token_type_ids" in known else {}

    def theirs():
        return model.get_rope_index(tokens, image_grid_thw=grids, **given)[0]

    mine = lambda: library.rope_positions(types, grids.to(torch.int32), merge=2)
    assert torch.equal(mine(), theirs()[:, 0])
    return mine, theirs


CASES = [("position ids, DataCollatorWithFlattening", flattening_collator, 131072),
         ("BlockMask, create_block_mask", block_mask, 8192),
         ("M-RoPE, get_rope_index", rope_index, 32768)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("library")
    arguments.add_argument("--rounds", type=int, default=9)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    library = Library(asked.library)
    print(f"torch {torch.__version__}\n\n| arrays | slots | omnibal | the peer | ratio |\n|---|---|---|---|---|")
    for name, make, slots in CASES:
        try:
            mine, theirs = make(library, slots)
        except ImportError as missing:
            print(f"{name}: left out: {missing}", file=sys.stderr)
            continue
        ours, peer = milliseconds(mine, asked.rounds), milliseconds(theirs, asked.rounds)
        print(f"| {name} | {slots:,} | {ours:.2f} ms | {peer:.1f} ms | {peer / ours:.0f} |", flush=True)


if __name__ == "__main__":
    main()
