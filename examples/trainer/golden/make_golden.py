#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes gradients.txt: loss and gradients of the trainer's tiny model as PyTorch computes them.

usage: make_golden.py > gradients.txt        (needs torch; 2.15.0 made the file that is here)

The model is written out once more with PyTorch's operations and automatic differentiation, in
double precision. Weights, pixels, tokens, targets and loss weights are a formula of their index,
`number`, which tests/trainer/golden_test.cpp has as well, so the file has gradients alone: of every
parameter its length and about two hundred entries.
"""
import math

import torch
import torch.nn.functional as F

VOCABULARY, TILE, PATCH, MERGE = 24, 16, 4, 2
PATCHES, IMAGE_ROWS = (TILE // PATCH) ** 2, (TILE // PATCH // MERGE) ** 2
VISION = {"layers": 2, "columns": 64, "heads": 4, "inner": 256}
LANGUAGE = {"layers": 4, "columns": 64, "heads": 4, "key_heads": 2, "inner": 176}
ROTARY_BASE, EPSILON = 100.0, 1e-5
DOCUMENTS = [(2, 4), (0, 3), (1, 5), (0, 1)]  # tiles, tokens of text
PIXELS, TOKENS, TARGETS, WEIGHTS = 1001, 1002, 1003, 1004  # purposes of numbers


def hashed(purpose, index):
    """A 32-bit number for each purpose and index."""
    h = (index * 2654435761 + purpose * 2246822519 + 12345) % 2**32
    h ^= h >> 16
    h = h * 3266489917 % 2**32
    return h ^ h >> 13


def number(purpose, index):
    """At least −1 and less than 1."""
    return hashed(purpose, index) / 2**31 - 1


class Parameters:
    """Parameters in the order in which they are asked for, rounded to single precision."""

    def __init__(self):
        self.all = []

    def __call__(self, layer, name, rows, columns):
        purpose = len(self.all)
        scale = 0.1 if rows == 1 else 1 / math.sqrt(rows)
        offset = 1.0 if name.endswith("norm") else 0.0
        values = [offset + scale * number(purpose, i) for i in range(rows * columns)]
        tensor = torch.tensor(values, dtype=torch.float32).double().view(rows, columns)
        tensor.requires_grad_()
        self.all.append((layer, name, tensor))
        return tensor


def norm(x, gain):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPSILON) * gain


def turned(x, positions):
    """Rotary positions; x is [heads, tokens, width]."""
    half = x.shape[-1] // 2
    angle = positions[:, None] * ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * angle.cos() - second * angle.sin(),
                      second * angle.cos() + first * angle.sin()), -1)


def block(parameters, layer, x, shape, mask, positions=None):
    """A vision block, or with positions a decoder block."""
    d, heads, width = shape["columns"], shape["heads"], shape["columns"] // shape["heads"]
    key_heads = shape.get("key_heads", heads)
    gain = parameters(layer, "attention_norm", 1, d)
    qkv = norm(x, gain) @ parameters(layer, "qkv", d, (heads + 2 * key_heads) * width)
    q, k, v = qkv.view(len(x), -1, width).transpose(0, 1).split([heads, key_heads, key_heads])
    if positions is not None:
        q, k = turned(q, positions), turned(k, positions)
    k, v = (one.repeat_interleave(heads // key_heads, 0) for one in (k, v))
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(0, 1)
    x = x + attended.reshape(len(x), -1) @ parameters(layer, "attention_output", heads * width, d)
    gain = parameters(layer, "feed_forward_norm", 1, d)
    gated = positions is not None
    inner = norm(x, gain) @ parameters(layer, "up", d, (2 if gated else 1) * shape["inner"])
    if gated:
        gate, up = inner.chunk(2, -1)
        hidden = F.silu(gate) * up
    else:
        hidden = F.gelu(inner)
    return x + hidden @ parameters(layer, "down", shape["inner"], d)


def vision(parameters, tiles):
    """Rows of tiles, in the order of squares of patches: merging them is a change of shape."""
    side = TILE // PATCH // MERGE
    pixels = torch.tensor([number(PIXELS, i) for i in range(tiles * TILE * TILE)],
                          dtype=torch.float32).double()
    patches = pixels.view(tiles, side, MERGE, PATCH, side, MERGE, PATCH)
    patches = patches.permute(0, 1, 4, 2, 5, 3, 6).reshape(tiles * PATCHES, PATCH * PATCH)
    d = VISION["columns"]
    x = patches @ parameters(0, "patches", PATCH * PATCH, d)
    x = x + parameters(0, "positions", PATCHES, d).repeat(tiles, 1)
    tile = torch.arange(tiles).repeat_interleave(PATCHES)
    for i in range(VISION["layers"]):
        x = block(parameters, 1 + i, x, VISION, tile[:, None] == tile[None, :])
    return x.reshape(tiles * IMAGE_ROWS, -1)


def main():
    parameters = Parameters()
    d, layer = LANGUAGE["columns"], VISION["layers"] + 1
    rows = vision(parameters, sum(tiles for tiles, _ in DOCUMENTS))
    first = parameters(layer, "first", rows.shape[1], d)
    rows = F.gelu(rows @ first + parameters(layer, "first_bias", 1, d))
    second = parameters(layer, "second", d, d)
    rows = rows @ second + parameters(layer, "second_bias", 1, d)

    document, position, is_image, counts = [], [], [], []
    for index, (tiles, text) in enumerate(DOCUMENTS):
        images = tiles * IMAGE_ROWS
        document += [index] * (images + text)
        position += range(images + text)
        is_image += [True] * images + [False] * text
        counts += [False] * images + [True] * (text - 1) + [False]
    document, is_image, counts = (torch.tensor(one) for one in (document, is_image, counts))
    position = torch.tensor(position, dtype=torch.float64)
    tokens = range(len(document))
    ids = torch.tensor([hashed(TOKENS, t) % VOCABULARY for t in tokens])
    targets = torch.tensor([hashed(TARGETS, t) % VOCABULARY for t in tokens])
    weights = torch.tensor([(1 + hashed(WEIGHTS, t) % 4) / 64 for t in tokens]).double() * counts

    x = parameters(layer + 1, "table", VOCABULARY, d)[ids]
    x = x.index_copy(0, is_image.nonzero()[:, 0], rows)
    mask = (document[:, None] == document[None, :]).tril()
    for i in range(LANGUAGE["layers"]):
        x = block(parameters, layer + 2 + i, x, LANGUAGE, mask, position)
    layer += 2 + LANGUAGE["layers"]
    gain = parameters(layer, "norm", 1, d)
    logits = norm(x, gain) @ parameters(layer, "logits", d, VOCABULARY)
    loss = (F.cross_entropy(logits, targets, reduction="none") * weights).sum()
    loss.backward()

    print("# Made by make_golden.py: layer, parameter, its entries, length of its gradient, and every")
    print("# step-th entry of the gradient, where step is entries / 200, made odd.")
    print(f"loss {loss.item():.12g}")
    for layer, name, tensor in parameters.all:
        gradient = tensor.grad.flatten()
        some = gradient[::len(gradient) // 200 | 1]
        print(layer, name, len(gradient), f"{gradient.norm().item():.9g}",
              *(f"{value:.8g}" for value in some.tolist()))


if __name__ == "__main__":
    main()
