#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The arrays of a pack in NumPy, made by the C library through ctypes.

usage: packed_batch.py PATH-OF-LIBRARY

Exits with 77 where there is no NumPy.
"""
import ctypes
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: this example needs NumPy")
    sys.exit(77)


class Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 256)]


class Layout(ctypes.Structure):
    _fields_ = [("documents", ctypes.c_int64), ("slots", ctypes.c_int64),
                ("multiple", ctypes.c_int64), ("tail_counted", ctypes.c_int32)]


class Row(ctypes.Structure):
    _fields_ = [("lengths", ctypes.c_void_p), ("documents", ctypes.c_int64),
                ("slots", ctypes.c_int64), ("multiple", ctypes.c_int64),
                ("split", ctypes.c_int32), ("ranks", ctypes.c_int64), ("rank", ctypes.c_int64)]


class TokenInputs(ctypes.Structure):
    _fields_ = [("labels", ctypes.c_void_p), ("document_weight", ctypes.c_void_p),
                ("image_first", ctypes.c_void_p), ("zero_in_padding", ctypes.c_int32),
                ("shifted_labels", ctypes.c_int32), ("mask", ctypes.c_int32),
                ("mask_parameter", ctypes.c_int64)]


class TokenArrays(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in (
        "position_ids", "sequence_index", "padding_mask", "source_slot", "global_slot", "labels",
        "loss_weights", "first_query", "limit_query")]


def pointer(array):
    """The address of a contiguous array, which the caller keeps alive."""
    assert array.flags.c_contiguous
    return array.ctypes.data_as(ctypes.c_void_p)


def check(status, error):
    if status != 0:
        raise ValueError(error.text.decode())


def main(path):
    library = ctypes.CDLL(path)
    error = Error()
    slots = 16
    lengths = np.array([3, 0, 5], dtype=np.int64)

    cu_seqlens = np.empty(4 + 2, dtype=np.int32)
    layout = Layout(documents=4, slots=slots, multiple=1, tail_counted=1)
    check(library.omnibal_lay_documents(pointer(lengths), ctypes.c_int64(len(lengths)),
                                        ctypes.byref(layout), pointer(cu_seqlens), None, None,
                                        ctypes.byref(error)), error)
    print("cu_seqlens  ", cu_seqlens)
    assert cu_seqlens.tolist() == [0, 3, 3, 8, 16, 16]

    labels = np.arange(100, 100 + slots, dtype=np.int64)
    out = {"position_ids": np.empty(slots, np.int64), "labels": np.empty(slots, np.int64),
           "sequence_index": np.empty(slots, np.int32)}
    row = Row(lengths=pointer(lengths), documents=3, slots=slots, multiple=1, ranks=1)
    inputs = TokenInputs(labels=pointer(labels), shifted_labels=1)
    arrays = TokenArrays(**{name: pointer(array) for name, array in out.items()})
    check(library.omnibal_fill_tokens(ctypes.byref(row), ctypes.byref(inputs),
                                      ctypes.byref(arrays), ctypes.byref(error)), error)
    for name, array in out.items():
        print(f"{name:12}", array)
    assert out["position_ids"].tolist() == [0, 1, 2, 0, 1, 2, 3, 4] + list(range(8))
    assert out["labels"].tolist() == [101, 102, -100, 104, 105, 106, 107, -100] + [-100] * 8
    assert out["sequence_index"].tolist() == [0] * 3 + [2] * 5 + [3] * 8

    lengths[1] = -1
    try:
        check(library.omnibal_fill_tokens(ctypes.byref(row), ctypes.byref(inputs),
                                          ctypes.byref(arrays), ctypes.byref(error)), error)
    except ValueError as refused:
        print("refused:    ", refused)
        assert str(refused).startswith("lengths[1] = -1")
    else:
        raise AssertionError("a negative length was not refused")


if __name__ == "__main__":
    main(sys.argv[1])
