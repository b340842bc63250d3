#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random cases with outputs by an obvious reference, compared with what a command answers.

usage: random_cases.py COMMAND [--emulated] [--seed N] [--cases N] [--keep FOLDER]

The reference is written from docs/device-indices.md alone, token by token and cell by cell. Borders are
drawn often: no documents, empty ones, a row without slots, one document of the whole row, windows of 0, images
of one cell. A case that has to be refused has "refused".
"""
import argparse
import json
import math
import pathlib
import random
import struct
import tempfile

import check_cases

IGNORED = -100


def f32(x):
    """The nearest float32."""
    return struct.unpack("f", struct.pack("f", x))[0]


def up(x, multiple):
    return -(-x // multiple) * multiple


def cumulate(values):
    sums = [0]
    for value in values:
        sums.append(sums[-1] + value)
    return sums


def documents_of(lengths, slots, multiple=1):
    """(document, offset in it, its length, its begin, its end) of each slot; the tail is one more."""
    row, begin = [], 0
    for number, length in enumerate([*lengths, None]):
        end = slots if length is None else begin + up(length, multiple)
        row += [(number, slot - begin, 0 if length is None else length, begin, end)
                for slot in range(begin, end)]
        begin = end
    return row


class Draw:
    """Draws inputs."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def number(self, least, most):
        return self.random.choice([least, most, self.random.randint(least, most),
                                   self.random.randint(least, most)])

    def one(self, *choices):
        return self.random.choice(choices)

    def lengths(self, most=20, longest=40):
        count = self.one(0, 1, 1, 2, 3, self.number(0, most))
        return [self.one(0, 1, self.number(0, longest)) for _ in range(count)]

    def slots(self, used):
        return used + self.one(0, 0, 1, self.number(0, 30))

    def grids(self, merge, most=4):
        return [[self.one(1, 1, 2, 3, 0), merge * self.one(1, 1, 2, 3, self.number(0, 6)),
                 merge * self.one(1, 1, 2, 3, self.number(0, 6))] for _ in range(self.number(0, most))]


def cu_seqlens(draw):
    lengths, multiple = draw.lengths(), draw.number(1, 9)
    padded = [up(length, multiple) for length in lengths]
    return ({"lengths": lengths, "multiple": multiple},
            {"cu_seqlens": cumulate(lengths), "cu_seqlens_padded": cumulate(padded),
             "max_seqlen": max(lengths, default=0), "max_seqlen_padded": max(padded, default=0)})


def cu_seqlens_fixed(draw):
    lengths, multiple = draw.lengths(), draw.one(1, 1, draw.number(2, 9))
    padded = [up(length, multiple) for length in lengths]
    slots = draw.slots(sum(padded)) - draw.one(0, 0, 0, 1)
    capacity = len(lengths) + draw.one(0, 0, 1, 5, -1)
    given = {"lengths": lengths, "multiple": multiple, "slots": slots, "document_capacity": capacity}
    if slots < sum(padded) or capacity < len(lengths):
        return given, None
    tail = slots - sum(padded)

    def fixed(sizes):
        sums = cumulate([*sizes, tail])
        return sums + [sums[-1]] * (capacity + 2 - len(sums))
    return given, {"cu_seqlens": fixed(lengths), "max_seqlen": slots,
                   "cu_seqlens_padded": fixed(padded) if multiple != 1 else None}


def token_ids(draw):
    lengths, multiple = draw.lengths(), draw.one(1, draw.number(1, 9))
    used = sum(up(length, multiple) for length in lengths)
    slots = draw.slots(used)
    row = documents_of(lengths, slots, multiple)
    return ({"lengths": lengths, "multiple": multiple, "slots": slots},
            {"position_ids": [at[1] for at in row[:used]],
             "padding_mask": [int(at[1] >= at[2]) for at in row[:used]],
             "position_ids_zeroed": [at[1] if at[1] < at[2] else 0 for at in row[:used]],
             "sequence_index": [at[0] for at in row]})


def labels_of(draw, slots):
    return [draw.one(IGNORED, 0, 7, draw.number(1, 99)) for _ in range(slots)]


def labels(draw):
    lengths = draw.lengths()
    slots = draw.slots(sum(lengths))
    given = labels_of(draw, slots)
    row = documents_of(lengths, slots)
    after = [*given[1:], IGNORED]

    def first(keep):
        return [IGNORED if number == len(lengths) or (offset == 0 and not (keep and slot == 0))
                else given[slot] for slot, (number, offset, *_) in enumerate(row)]

    def shifted(fill):
        return [IGNORED if number == len(lengths) else fill if offset + 1 == length else after[slot]
                for slot, (number, offset, length, *_) in enumerate(row)]
    return ({"lengths": lengths, "labels": given, "slots": slots},
            {"unshifted_first_masked": first(False),
             "unshifted_first_masked_but_document_0": first(True),
             "shifted_within": shifted(IGNORED), "shifted_across": after[:slots],
             "shifted_within_fill_0": shifted(0)[:sum(lengths)]})


def loss_weights(draw):
    lengths = draw.lengths()
    slots = draw.slots(sum(lengths))
    given = labels_of(draw, slots)
    row = documents_of(lengths, slots)
    counts = [0] * (len(lengths) + 1)
    for slot, at in enumerate(row):
        counts[at[0]] += given[slot] != IGNORED
    out = {"cu_seqlens": cumulate(lengths) + ([slots] if slots > sum(lengths) else [])}
    for name, weight in (("token", lambda x: 1), ("sample", lambda x: 1 / x),
                         ("square", lambda x: 1 / math.sqrt(x))):
        weights = [0.0 if at[0] == len(lengths) or given[slot] == IGNORED
                   else f32(weight(counts[at[0]])) for slot, at in enumerate(row)]
        out["weight_" + name] = weights
        out["weight_sum_" + name] = sum(weights[1:])
    return {"lengths": lengths, "labels": given, "slots": slots}, out


def unpad(draw):
    if draw.one(True, False):
        rows = [[draw.one(0, 1, draw.number(0, 9)) for _ in range(draw.number(0, 4))]
                for _ in range(draw.number(0, 5))]
        slots = max(map(sum, rows), default=0) + draw.one(0, 3, -1)
        given = {"lengths_in_rows": rows, "row_slots": slots}
        if slots < 0 or any(sum(row) > slots for row in rows):
            return given, None
        lengths = sum(rows, [])
        return given, {"indices": [r * slots + i for r, row in enumerate(rows)
                                   for i in range(sum(row))],
                       "cu_seqlens": cumulate(lengths), "max_seqlen": max(lengths, default=0)}
    rows, columns = draw.number(0, 5), draw.number(1, 12)
    states = [[draw.one(0, 1, 1, 2) for _ in range(columns)] for _ in range(rows)]
    mask = [[int(state == 1) for state in row] for row in states]
    unused = [[int(state == 2) for state in row] for row in states] if draw.one(True, False) else None
    sums = [sum(map(bool, row)) if unused else sum(mask[r]) for r, row in enumerate(states)]
    set_slots = [r * columns + c for r in range(rows) for c in range(columns)
                 if mask[r][c] or (unused and unused[r][c])]
    padded = [[0] * columns for _ in range(rows)]
    for n, place in enumerate(set_slots):
        padded[place // columns][place % columns] = n + 1
    return ({"mask": mask, "unused": unused},
            {"indices": set_slots, "cu_seqlens": cumulate(sums), "max_seqlen": max(sums, default=0),
             "seqused": [sum(row) for row in mask], "pad_of_1_to_n": padded})


def tree(draw):
    sequences = [[draw.number(1, 3) for _ in range(draw.number(0, 5))]
                 for _ in range(draw.number(0, 5))]
    nodes = {}
    for sequence in sequences:
        for n in range(1, len(sequence) + 1):
            nodes.setdefault(tuple(sequence[:n]), len(nodes))
    slots = draw.slots(len(nodes))
    paths = list(nodes)
    below = [[other for other in nodes.values() if paths[other][:len(path)] == path]
             for path in paths]
    preorder = all(max(one) - min(one) + 1 == len(one) for one in below)
    ends = [max(one) + 1 for one in below]
    given = {"sequences": sequences, "slots": slots}
    out = {"position_ids": [len(path) - 1 for path in paths] + [0] * (slots - len(paths))}
    if preorder:
        out["visible"] = [[int(k < len(ends) and k <= q < ends[k]) for k in range(slots)]
                          for q in range(slots)]
    holders = [frozenset(s for s, sequence in enumerate(sequences)
                         if tuple(sequence[:len(path)]) == path) for path in paths]
    runs = []  # begin, end
    for slot, path in enumerate(paths):
        if runs and holders[slot] == holders[slot - 1] and paths[slot - 1] == path[:-1]:
            runs[-1][1] = slot + 1
        else:
            runs.append([slot, slot + 1])
    rectangles = []
    for s in range(len(sequences)):
        above = []
        for run in runs:
            if s not in holders[run[0]]:
                continue
            for one in [(run, run, 0), *[(run, key, 1) for key in above]]:
                if one not in rectangles:
                    rectangles.append(one)
            above.append(run)
    out.update(q_ranges=[one[0] for one in rectangles], k_ranges=[one[1] for one in rectangles],
               full=[one[2] for one in rectangles])
    return given, out


MASKS = ("document_causal", "document_full", "document_causal_window",
         "document_bidirectional_window", "document_causal_chunk", "document_prefix",
         "document_prefix_window")


def seen_by(mask, w, at, k, image_first):
    """The interval of queries of key k, as the table of masks says."""
    *_, b, e = at
    f = image_first[k]
    return {"document_causal": (k, e), "document_full": (b, e),
            "document_causal_window": (k, min(e, k + w)),
            "document_bidirectional_window": (max(b, k - w), min(e, k + w + 1)),
            "document_causal_chunk": (k, min(e, b + ((k - b) // max(w, 1) + 1) * w)),
            "document_prefix": (max(b, f), e),
            "document_prefix_window": (max(b, f), min(e, k + w))}[mask]


def block_mask(draw):
    lengths = draw.lengths(most=8, longest=25)
    slots = draw.slots(sum(lengths))
    mask = draw.one(*MASKS)
    w = draw.one(0, 1, 2, draw.number(0, 12), 1000)
    block = draw.one(1, 3, 8, 128, [2, 5], [7, 3], [16, 8])
    group, image = [], 0
    while len(group) < slots:
        if draw.one(True, False):
            group += [-1] * draw.number(1, 5)
        else:
            group += [image] * draw.number(1, 9)
            image += 1
    group = group[:slots]
    given = {"lengths": lengths, "slots": slots, "block": block, "mask": mask, "parameter": w,
             "image_group": group}
    if mask == "document_causal_chunk" and w == 0:
        return given, None
    image_first = []
    for slot, number in enumerate(group):
        inside = slot > 0 and number >= 0 and group[slot - 1] == number
        image_first.append(image_first[-1] if inside else slot)
    row = documents_of(lengths, slots)
    seen = [[False] * slots for _ in range(slots)]
    for k in range(slots):
        first, limit = seen_by(mask, w, row[k], k, image_first)
        for q in range(first, limit):
            seen[q][k] = True
    bq, bk = block if isinstance(block, list) else (block, block)
    rows, columns = -(-slots // bq), -(-slots // bk)

    def state(i, j):
        cells = [seen[q][k] for q in range(i * bq, min(slots, (i + 1) * bq))
                 for k in range(j * bk, min(slots, (j + 1) * bk))]
        return 2 if len(cells) == bq * bk and all(cells) else int(any(cells))
    states = [[state(i, j) for j in range(columns)] for i in range(rows)]
    out = {}
    for name, wanted in (("", 1), ("full_", 2)):
        by_row = [[j for j in range(columns) if states[i][j] == wanted] for i in range(rows)]
        by_column = [[i for i in range(rows) if states[i][j] == wanted] for j in range(columns)]
        for side, lines in (("kv", by_row), ("q", by_column)):
            out[f"{name}{side}_num_blocks"] = [len(line) for line in lines]
            out[f"{name}{side}_indices"] = lines
    return given, out


def context_parallel_zigzag(draw):
    lengths, cp = draw.lengths(most=8), draw.one(1, 2, 3, 4, 8)
    padded = [up(length, 2 * cp) for length in lengths]
    total = sum(padded)
    begins = cumulate(padded)
    indices, on_rank = [], []
    for rank in range(cp):
        slots, real = [], []
        for d, size in enumerate(padded):
            chunk = size // (2 * cp)
            mine = [*range(rank * chunk, (rank + 1) * chunk),
                    *range((2 * cp - 1 - rank) * chunk, (2 * cp - rank) * chunk)]
            slots += [begins[d] + offset for offset in mine]
            real.append(sum(offset < lengths[d] for offset in mine))
        indices.append(slots)
        on_rank.append(cumulate(real))
    flat = sum(indices, [])
    inverse = [0] * total
    for place, slot in enumerate(flat):
        inverse[slot] = place
    return ({"lengths": lengths, "cp_size": cp},
            {"cu_seqlens_padded": begins, "indices": indices, "inverse": inverse,
             "cu_seqlens_on_rank": on_rank})


def context_parallel_whole_row(draw):
    cp = draw.one(1, 2, 3, 4, 6, 8)
    slots = 2 * cp * draw.number(0, 9) + draw.one(0, 0, 0, 1)
    given = {"slots": slots, "cp_size": cp}
    if slots % (2 * cp):
        return given, None

    def zigzag(ring):
        chunk = slots // (2 * ring)
        return [[*range(r * chunk, (r + 1) * chunk),
                 *range((2 * ring - 1 - r) * chunk, (2 * ring - r) * chunk)] for r in range(ring)]
    part = slots // cp
    out = {"zigzag": zigzag(cp), "striped": [[*range(r, slots, cp)] for r in range(cp)],
           "contiguous": [[*range(r * part, (r + 1) * part)] for r in range(cp)]}
    if cp > 1:
        out["a2a_chunks_before"] = [2 * r for r in range(cp)] + [2 * cp - 1 - 2 * r
                                                                 for r in range(cp)]
        out["a2a_chunks_after"] = sum(([r, 2 * cp - 1 - r] for r in range(cp)), [])
        for ring in (n for n in range(1, cp + 1) if cp % n == 0):
            ulysses = cp // ring
            out[f"zigzag_ring{ring}_ulysses{ulysses}"] = [
                zigzag(ring)[r // ulysses][r % ulysses * part:(r % ulysses + 1) * part]
                for r in range(cp)]
    return given, out


def context_parallel_contiguous(draw):
    lengths, cp = draw.lengths(most=8), draw.one(1, 2, 3, 4)
    given = {"lengths": lengths, "cp_size": cp}
    if sum(lengths) % cp:
        return given, None
    cu = cumulate(lengths)
    out = {"causal": [], "full": []}
    for rank in range(cp):
        lo, hi = rank * sum(lengths) // cp, (rank + 1) * sum(lengths) // cp
        a = next(n for n, offset in enumerate(cu) if offset >= lo)
        a -= cu[a] != lo
        b = next(n for n, offset in enumerate(cu) if offset >= hi)
        for kind, views in out.items():
            queries = [min(max(offset, lo), hi) - lo for offset in cu[a:b + 1]]
            k_end = hi if kind == "causal" else cu[b]
            keys = [offset - cu[a] for offset in cu[a:b + 1]]
            keys[-1] = k_end - cu[a]
            views.append({"cu_seqlens_q": queries, "cu_seqlens_k": keys, "k_begin": cu[a],
                          "k_end": k_end, "max_seqlen_q": longest(queries),
                          "max_seqlen_k": longest(keys)})
    return given, out


def longest(offsets):
    return max((b - a for a, b in zip(offsets, offsets[1:])), default=0)


def offsets(draw):
    lengths = draw.lengths()
    kv = draw.one(None, [draw.one(0, 1, draw.number(0, 40)) for _ in lengths])
    keys = lengths if kv is None else kv
    kind = draw.one("cudnn", "flashinfer", "chunks", "fa4")
    if kind == "flashinfer":
        page = draw.number(1, 9)
        masks = cumulate([q * k for q, k in zip(lengths, keys)])
        return ({"lengths": lengths, "kv_lengths": kv, "page": page},
                {"qo_indptr": cumulate(lengths), "kv_indptr": cumulate(keys), "mask_indptr": masks,
                 "page_indptr": cumulate([-(-k // page) for k in keys]), "page_mask_indptr": masks,
                 "last_page_len": [(k - 1) % page + 1 if k else 0 for k in keys]})
    if kind == "chunks":
        chunk = draw.number(1, 50)
        pieces = [(d, c) for d, length in enumerate(lengths) for c in range(-(-length // chunk))]
        begins = cumulate(lengths)
        return ({"lengths": lengths, "chunk": chunk},
                {"chunk_offsets": cumulate([-(-length // chunk) for length in lengths]),
                 "chunk_indices": [list(piece) for piece in pieces],
                 "split_cu_seqlens": [begins[d] + c * chunk for d, c in pieces] + [sum(lengths)]})
    if kind == "fa4":
        tile, begins = draw.number(1, 300), cumulate(lengths)
        return ({"lengths": lengths, "tile": tile},
                {"padded_offset": [(begins[b] + b * tile) // tile * tile
                                   for b in range(len(lengths))]})
    layout = draw.one("hd_hd_hd", "3hd", "h3d", "hd_2hd", "hd_h2d")
    h, d = draw.one(1, 8, 64), draw.one(1, 64, 128)
    g, e = (h, d) if layout in ("3hd", "h3d") else (draw.one(1, h), draw.one(d, 2 * d))
    if layout in ("hd_2hd", "hd_h2d"):
        e = d
    multiple = draw.one(1, 8)
    if layout in ("3hd", "h3d"):
        kv, keys = None, lengths
    q_begins = cumulate([up(length, multiple) for length in lengths])
    k_begins = cumulate([up(length, multiple) for length in keys])
    of_q, of_k, of_v = {"hd_hd_hd": (h * d, g * d, g * e), "3hd": (3 * h * d,) * 3,
                        "h3d": (3 * h * d,) * 3, "hd_2hd": (h * d, 2 * g * d, 2 * g * d),
                        "hd_h2d": (h * d, 2 * g * d, 2 * g * d)}[layout]
    batch = next(c for c in (32, 64, 128, 256, 512) if len(lengths) <= c)

    def token_capacity(tokens):
        return next(c for c in (1024, 2048, 4096) if tokens <= c)
    shown = len(lengths) + 3

    def entries(begins, elements):
        return [elements * begins[min(n, len(lengths))] for n in range(min(batch + 1, shown))]

    def padded(sizes):
        return (sizes + [0] * 3)[:min(batch, shown)]
    largest = max(token_capacity(q_begins[-1]) * max(of_q, h * e),
                  token_capacity(k_begins[-1]) * max(of_k, of_v))
    return ({"lengths": lengths, "kv_lengths": kv, "multiple": multiple, "layout": layout,
             "heads": h, "kv_heads": g, "head_dim": d, "v_head_dim": e},
            {"batch_capacity": batch, "token_capacity": token_capacity(q_begins[-1]),
             "needs_int64": largest > 2**31 - 1, "q": entries(q_begins, of_q),
             "k": entries(k_begins, of_k), "v": entries(k_begins, of_v),
             "o": entries(q_begins, h * e), "stats": entries(q_begins, h),
             "q_lengths": padded(lengths), "kv_lengths": padded(keys)})


def vision_cu_seqlens(draw):
    grids = draw.grids(draw.one(1, 2))
    return ({"grid_thw": grids},
            {"cu_seqlens_per_frame": cumulate([h * w for t, h, w in grids for _ in range(t)]),
             "cu_seqlens_per_clip": cumulate([t * h * w for t, h, w in grids])})


def patches_of(grids, m):
    """(t, h, w, grid) of each patch."""
    return [(f, y * m + i, x * m + j, grid) for grid in grids for f in range(grid[0])
            for y in range(grid[1] // m) for x in range(grid[2] // m)
            for i in range(m) for j in range(m)]


def vision_position_ids(draw):
    m = draw.one(1, 2, 3)
    grids = draw.grids(m)
    given = {"grid_thw": grids, "merge": m}
    if grids and m > 1 and draw.one(False, False, True):
        grids[-1][draw.one(1, 2)] += 1
        return given, None
    patches = patches_of(grids, m)
    return given, {axis: [patch[n] for patch in patches] for n, axis in enumerate("thw")}


def vision_window_index(draw):
    m, patch = draw.one(1, 2), draw.one(14, 16)
    side = draw.one(1, 2, 3, 5, 100)
    grids = draw.grids(m)
    index, windows, raw, cells = [], [], [], 0
    for t, h, w in grids:
        height, width = h // m, w // m
        for f in range(t):
            for a in range(height // side + 1):
                for b in range(width // side + 1):
                    inside = [cells + (f * height + y) * width + x
                              for y in range(a * side, min(height, (a + 1) * side))
                              for x in range(b * side, min(width, (b + 1) * side))]
                    index += inside
                    raw.append(len(inside) * m * m)
                    if inside:
                        windows.append(len(inside) * m * m)
        cells += t * height * width
    inverse = [0] * cells
    for place, cell in enumerate(index):
        inverse[cell] = place
    out = {"window_index": index, "inverse": inverse, "cu_window_seqlens_raw": cumulate(raw)}
    if all(h and w for t, h, w in grids):
        out["cu_window_seqlens"] = cumulate(windows)
    return {"grid_thw": grids, "merge": m, "window": side * m * patch, "patch": patch}, out


def taps_of(r, n, side, align, bicubic):
    if align:
        source = f32(f32(r * (side - 1)) / max(n - 1, 1))
    else:
        source = f32(f32(f32((r + 0.5) * side) / n) - 0.5)
    below = math.floor(source)

    def keys(x):
        a = -0.75
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0
    taps = range(below - 1, below + 3) if bicubic else range(below, below + 2)
    return [(min(max(tap, 0), side - 1),
             keys(abs(source - tap)) if bicubic else max(0, 1 - abs(source - tap)))
            for tap in taps]


def vision_interpolation(draw):
    m, side, align = draw.one(1, 2), draw.number(1, 24), draw.one(True, False)
    mode = draw.one("bilinear", "bicubic")
    grids = draw.grids(m, 3)
    places, weights = [], []
    for _, y, x, (_, h, w) in patches_of(grids, m):
        rows = taps_of(y, h, side, align, mode == "bicubic")
        columns = taps_of(x, w, side, align, mode == "bicubic")
        places.append([row * side + column for row, _ in rows for column, _ in columns])
        weights.append([a * b for _, a in rows for _, b in columns])
    return ({"grid_thw": grids, "side": side, "merge": m, "align_corners": align, "mode": mode},
            {"indices": places, "weights": weights})


def mrope(draw):
    variant, m = draw.one("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"), draw.one(1, 2)
    by_frame = variant in ("qwen3_vl", "glm4v")
    rate = draw.one(1, 2, 25)
    types, lengths, images, videos, seconds, rows, deltas = [], [], [], [], [], [[], [], []], []

    def place(*position):
        for axis, value in zip(rows, position):
            axis.append(value)
    for _ in range(draw.one(0, 1, 1, 2, 4)):
        begin, p = len(types), 0
        for _ in range(draw.number(0, 6)):
            kind = draw.one(0, 0, 1, 2)
            if kind == 0:
                for _ in range(draw.number(1, 5)):
                    types.append(0)
                    place(p, p, p)
                    p += 1
                continue
            t, h, w = (1 if kind == 1 else draw.one(1, 2, 3), m * draw.one(1, 1, 2, 3),
                       m * draw.one(1, 2, 4))
            (images if kind == 1 else videos).append([t, h, w])
            step = 1.0
            if kind == 2:
                seconds.append(draw.one(1.0, 0.5, 7 / 60))
                if variant == "qwen2_5_vl":
                    step = f32(f32(rate) * f32(seconds[-1]))
            for frame in range(t):
                if by_frame and frame > 0:
                    p += max(h, w) // m
                time = 0 if by_frame else int(f32(frame * step))
                for y in range(h // m):
                    for x in range(w // m):
                        types.append(kind)
                        place(p + time, p + y, p + x)
            p += max(h, w) // m
        lengths.append(len(types) - begin)
        largest = max((max(axis[begin:]) for axis in rows if axis[begin:]), default=-1)
        deltas.append(largest + 1 - lengths[-1])
    slots = draw.slots(len(types))
    given = {"variant": variant, "merge": m, "token_type": types + [0] * (slots - len(types)),
             "image_grid_thw": images, "video_grid_thw": videos, "lengths": lengths, "slots": slots,
             "tokens_per_second": rate, "second_per_grid": seconds if seconds else None}
    if types and draw.one(False, False, False, True):
        spoilt = draw.one("grid", "type")
        if spoilt == "grid":
            given["image_grid_thw"] = [*images, [1, m, m]]
            return given, None
        if not images and not videos:
            given["token_type"][draw.number(0, len(types) - 1)] = 1
            return given, None
    out = {"position_ids": [axis + [0] * (slots - len(types)) for axis in rows]}
    if len(lengths) == 1:
        out["delta"] = deltas[0]
    return given, out


def vision_scatter(draw):
    tokens = [draw.one(5, 5, 9, draw.number(0, 99)) for _ in range(draw.number(0, 40))]
    places = [slot for slot, token in enumerate(tokens) if token == 5]
    per_tile = draw.one(1, 2, 3, draw.number(1, 6))
    used = [draw.one(0, 1) for _ in range(draw.number(0, 5))]
    if draw.one(True, True, False) and len(places) % per_tile == 0:
        used = [0] * draw.number(0, 2) + [1] * (len(places) // per_tile)
        draw.random.shuffle(used)
    rows = [tile * per_tile + i for tile, one in enumerate(used) if one for i in range(per_tile)]
    out = {"slots": places, "rows": rows}
    if len(rows) == len(places):
        takes = dict(zip(places, rows))
        out["source_row_of_slot"] = [takes.get(slot, -1) for slot in range(len(tokens))]
    return ({"tokens": tokens, "image_token": 5, "tile_used": used, "rows_per_tile": per_tile}, out)


OPERATIONS = (cu_seqlens, cu_seqlens_fixed, token_ids, labels, loss_weights, unpad, tree, block_mask,
              context_parallel_zigzag, context_parallel_whole_row, context_parallel_contiguous, offsets,
              vision_cu_seqlens, vision_position_ids, vision_window_index, vision_interpolation, mrope,
              vision_scatter)


def file_of(operation, seed, count):
    """A file of cases of one operation."""
    draw, cases = Draw(f"{operation.__name__} {seed}"), []
    for number in range(count):
        given, out = operation(draw)
        case = {"name": f"seed {seed}, number {number}", "in": given, "out": out or {}}
        if out is None:
            case["refused"] = True
        cases.append(case)
    return {"operation": operation.__name__, "cases": cases}


def main():
    parser = argparse.ArgumentParser(description="Random cases against an obvious reference.")
    parser.add_argument("command")
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=40, help="of each operation")
    parser.add_argument("--keep", help="a folder in which the files of cases stay")
    given = parser.parse_args()
    command = [given.command, *(["--emulated"] if given.emulated else [])]
    compared, faults = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for operation in OPERATIONS:
            path = pathlib.Path(given.keep or folder) / f"{operation.__name__}.json"
            path.write_text(json.dumps(file_of(operation, given.seed, given.cases)),
                            encoding="utf-8")
            count, wrong = check_cases.faults_of(command, path)
            compared += count
            faults += wrong
    print("\n".join(fault[:400] for fault in faults))
    print(f"{compared} outputs of {given.cases} cases of {len(OPERATIONS)} operations compared, "
          f"{len(faults)} wrong")
    return 1 if faults or compared == 0 else 0


if __name__ == "__main__":
    raise SystemExit(main())
