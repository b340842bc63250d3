# SPDX-License-Identifier: Apache-2.0
"""The C library through ctypes, as the consumers' tests use it: arrays are torch tensors."""
import ctypes

import torch

TYPES = {torch.int64: ctypes.c_int64, torch.int32: ctypes.c_int32, torch.uint8: ctypes.c_uint8,
         torch.float32: ctypes.c_float}
MASKS = ("causal", "full", "causal_window", "bidirectional_window", "causal_chunk", "prefix", "prefix_window")


class Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 256)]


class Row(ctypes.Structure):
    _fields_ = [("lengths", ctypes.c_void_p), ("documents", ctypes.c_int64), ("slots", ctypes.c_int64),
                ("multiple", ctypes.c_int64), ("split", ctypes.c_int32), ("ranks", ctypes.c_int64),
                ("rank", ctypes.c_int64)]


class TokenInputs(ctypes.Structure):
    _fields_ = [("labels", ctypes.c_void_p), ("document_weight", ctypes.c_void_p),
                ("image_first", ctypes.c_void_p), ("zero_in_padding", ctypes.c_int32),
                ("shifted_labels", ctypes.c_int32), ("mask", ctypes.c_int32), ("mask_parameter", ctypes.c_int64)]


class TokenArrays(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in (
        "position_ids", "sequence_index", "padding_mask", "source_slot", "global_slot", "labels",
        "loss_weights", "first_query", "limit_query")]


class BlockArrays(ctypes.Structure):
    _fields_ = [(list_ + part, ctypes.c_void_p) for list_ in ("kv", "full_kv", "q", "full_q")
                for part in ("_num_blocks", "_indices")]


class RopeInputs(ctypes.Structure):
    _fields_ = [("variant", ctypes.c_int32), ("merge", ctypes.c_int64), ("token_type", ctypes.c_void_p),
                ("image_grids", ctypes.c_void_p), ("images", ctypes.c_int64), ("video_grids", ctypes.c_void_p),
                ("videos", ctypes.c_int64), ("tokens_per_second", ctypes.c_float),
                ("seconds_per_grid", ctypes.c_void_p)]


def address(tensor):
    assert tensor.is_contiguous() and tensor.dtype in TYPES
    return ctypes.c_void_p(tensor.data_ptr())


class Library:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.library, name)(*arguments, ctypes.byref(error)) != 0:
            raise ValueError(error.text.decode())

    def intervals(self, lengths, slots, mask, parameter=0):
        """first and limit of each key of a packed row."""
        given = torch.tensor(lengths, dtype=torch.int64)
        row = Row(lengths=given.data_ptr(), documents=len(lengths), slots=slots, multiple=1, ranks=1)
        inputs = TokenInputs(mask=MASKS.index(mask), mask_parameter=parameter)
        first, limit = torch.empty(2, slots, dtype=torch.int32)
        arrays = TokenArrays(first_query=address(first), limit_query=address(limit))
        self.call("omnibal_fill_tokens", ctypes.byref(row), ctypes.byref(inputs), ctypes.byref(arrays))
        return first, limit

    def position_ids(self, lengths, slots):
        """Of each slot of a packed row, counted from its document's begin."""
        given = torch.tensor(lengths, dtype=torch.int64)
        row = Row(lengths=given.data_ptr(), documents=len(lengths), slots=slots, multiple=1, ranks=1)
        positions = torch.empty(slots, dtype=torch.int64)
        arrays = TokenArrays(position_ids=address(positions))
        self.call("omnibal_fill_tokens", ctypes.byref(row), ctypes.byref(TokenInputs()), ctypes.byref(arrays))
        return positions

    def rope_positions(self, types, grids, merge):
        """Qwen2.5-VL's three axes for a row of one document; types: 0 text, 1 image."""
        length = torch.tensor([len(types)], dtype=torch.int64)
        row = Row(lengths=length.data_ptr(), documents=1, slots=len(types), multiple=1, ranks=1)
        inputs = RopeInputs(variant=1, merge=merge, token_type=types.data_ptr(), image_grids=grids.data_ptr(),
                            images=len(grids), tokens_per_second=2)
        positions = torch.empty(3, len(types), dtype=torch.int64)
        delta = torch.empty(1, dtype=torch.int64)
        self.call("omnibal_rope_positions", ctypes.byref(row), ctypes.byref(inputs), 3, address(positions),
                  address(delta))
        return positions

    def blocks(self, first, limit, block):
        """The eight arrays of a BlockMask."""
        lines = -(-len(first) // block)
        out = {list_ + part: torch.empty((lines, lines) if part == "_indices" else (lines,), dtype=torch.int32)
               for list_ in ("kv", "full_kv", "q", "full_q") for part in ("_num_blocks", "_indices")}
        arrays = BlockArrays(**{name: address(tensor) for name, tensor in out.items()})
        self.call("omnibal_list_blocks", address(first), address(limit), ctypes.c_int64(len(first)),
                  ctypes.c_int64(block), ctypes.c_int64(block), ctypes.byref(arrays))
        return out

    def vision_cu_seqlens(self, grids, merge, window_side):
        """Offsets per frame and per window."""
        given = torch.tensor(grids, dtype=torch.int32)
        counts = (ctypes.c_int64 * 2)()
        fixed = (address(given), ctypes.c_int64(len(grids)), ctypes.c_int64(merge), ctypes.c_int64(window_side), 0)
        none = ctypes.c_int64(0)
        self.call("omnibal_vision_cu_seqlens", *fixed, None, none, None, none, counts)
        out = [torch.empty(count + 1, dtype=torch.int32) for count in counts]
        arrays = [value for one in out for value in (address(one), ctypes.c_int64(len(one)))]
        self.call("omnibal_vision_cu_seqlens", *fixed, *arrays, None)
        return out

    def patches(self, grids, merge, window_side):
        """t, h, w of each patch, window_index and its inverse."""
        given = torch.tensor(grids, dtype=torch.int32)
        patches = sum(t * h * w for t, h, w in grids)
        out = [torch.empty(size, dtype=torch.int64) for size in [patches] * 3 + [patches // merge ** 2] * 2]
        self.call("omnibal_lay_patches", address(given), ctypes.c_int64(len(grids)), ctypes.c_int64(merge),
                  ctypes.c_int64(window_side), *map(address, out))
        return out
