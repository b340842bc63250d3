#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""transformers' Qwen2.5-VL vision tower gives the same with the library's arrays as keyword arguments as
with those that it makes itself.

usage: vision_tower_test.py PATH-OF-LIBRARY

Exits with 77 where there is no torch, or no transformers whose tower takes the arrays.
"""
import sys

try:
    import torch
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
    from transformers.vision_utils import get_vision_window_index
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from library import Library

GRIDS = [(1, 8, 12), (3, 4, 10), (1, 16, 6)]


def main(path):
    library = Library(path)
    torch.manual_seed(0)
    config = Qwen2_5_VLVisionConfig(depth=4, hidden_size=64, intermediate_size=96, num_heads=4, out_hidden_size=48,
                                    fullatt_block_indexes=[1, 3], window_size=112, patch_size=14)
    tower = Qwen2_5_VisionTransformerPretrainedModel(config).eval()
    merge = config.spatial_merge_size
    side = config.window_size // merge // config.patch_size
    _, h, w, window_index, _ = library.patches(GRIDS, merge, side)
    cu_frames, cu_windows = library.vision_cu_seqlens(GRIDS, merge, side)
    arrays = {"position_ids": torch.stack([h, w], dim=1), "cu_seqlens": cu_frames, "window_index": window_index,
              "cu_window_seqlens": cu_windows}
    grids = torch.tensor(GRIDS)
    patches = torch.randn(int(grids.prod(dim=1).sum()),
                          config.in_channels * config.temporal_patch_size * config.patch_size ** 2)
    theirs, _ = get_vision_window_index(grids, spatial_merge_size=merge, window_size=config.window_size,
                                        patch_size=config.patch_size)
    assert torch.equal(theirs, window_index)
    with torch.no_grad():
        expected = tower(patches, grids).pooler_output
        found = tower(patches, grids, **arrays).pooler_output
        # The tower reads what it is given: other windows give another result.
        others = dict(arrays, cu_window_seqlens=cu_frames)
        assert not torch.equal(tower(patches, grids, **others).pooler_output, expected)
    print(f"{len(patches)} patches, {len(expected)} tokens, "
          f"largest difference {(found - expected).abs().max().item():.2e}")
    assert torch.equal(found, expected)


if __name__ == "__main__":
    main(sys.argv[1])
