#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FlexAttention with the library's BlockMask equals attention with a dense mask.

usage: flex_attention_test.py PATH-OF-LIBRARY

The compiled FlexAttention of the CPU reads the lists of blocks; the eager one only the function of the
mask. Exits with 77 where there is no torch.
"""
import sys

try:
    import torch
    from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from library import Library

BLOCK = 128


def block_mask_of(lists, first, limit):
    def mask(batch, head, query, key):
        return (first[key] <= query) & (query < limit[key])

    def one(name):
        return lists[name][None, None]

    size = len(first)
    return BlockMask(
        seq_lengths=(size, size), mask_mod=mask, BLOCK_SIZE=(BLOCK, BLOCK),
        **{name: one(name) for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices",
                                        "q_num_blocks", "q_indices", "full_q_num_blocks", "full_q_indices")})


def listed(mask, kind):
    """The blocks of each line, without what follows the listed ones."""
    count, places = getattr(mask, kind + "_num_blocks"), getattr(mask, kind + "_indices")
    return [line[:n].tolist() for n, line in zip(count[0, 0].tolist(), places[0, 0])]


def check(library, attend, lengths, slots, mask, parameter):
    first, limit = library.intervals(lengths, slots, mask, parameter)
    ours = block_mask_of(library.blocks(first, limit, BLOCK), first, limit)
    theirs = create_block_mask(ours.mask_mod, None, None, slots, slots, device="cpu", BLOCK_SIZE=BLOCK)
    for kind in ("kv", "full_kv", "q", "full_q"):
        assert listed(ours, kind) == listed(theirs, kind), (mask, kind)
    queries = torch.arange(slots)[:, None]
    dense = (first[None, :] <= queries) & (queries < limit[None, :])
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, slots, 32)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=dense)
    with torch.no_grad():
        found = attend(q, k, v, block_mask=ours)
    difference = (found - expected).abs().max().item()
    print(f"{mask:22} {int(dense.sum()):8} cells seen, largest difference {difference:.2e}")
    assert difference < 1e-5


def main(path):
    library = Library(path)
    compiled = torch.compile(flex_attention, dynamic=False)
    for mask, parameter in (("causal", 0), ("full", 0), ("causal_window", 100), ("bidirectional_window", 70),
                            ("causal_chunk", 150)):
        check(library, compiled, [300, 0, 129, 255, 200], 1024, mask, parameter)


if __name__ == "__main__":
    main(sys.argv[1])
