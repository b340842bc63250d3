# SPDX-License-Identifier: Apache-2.0
"""Faults put into the kernels of omnibal/gpu on purpose, grouped by header: a bound off by one, a tail
forgotten, what is before a tile or a document left out. Form and rules are those of catalogue.py; tests are
tests/gpu/*_test.cu, which the emulator runs. Missing barriers are left out one by one, by
tests/emulator/kernel_barriers_test.cpp.
"""
from catalogue import Mutant

TOKENS = ("gpu/indices", "documents and tokens of random rows are those of the host")
TILES = ("gpu/indices", "tiles, blocks and warps end where documents do, and one before and behind")
BLOCKS = ("gpu/blocks", "random intervals give the blocks of the host")
WEIGHTS = ("gpu/weights", "labels of random documents are counted and weighed as on the host")
ROPE = ("gpu/rope", "kernels place images as the host does")
REFUSED = ("gpu/rope", "kernels refuse the rows that the host refuses")
ONE_LAUNCH = ("gpu/indices", "documents and tokens in one launch are those of the host, at the borders too")
UNPAD = ("gpu/unpad", "set slots of random masks are found as on the host")
SCATTER = ("gpu/unpad", "image tokens take the rows of used tiles as on the host")
MOVES = ("gpu/rows", "rows of several tensors are gathered and scattered as on the host")
ADJOINT = ("gpu/rows", "adjoints add in ascending order, to the last bit")
CHUNKS = ("gpu/offsets", "chunks of linear attention are those of the host")
RAGGED = ("gpu/offsets", "element offsets repeat the last document's end")
TREE = ("gpu/offsets", "slots of prefix trees have the depths and subtrees of the host")


def kernel(name, header, anchor, fault, test):
    return Mutant(name, "gpu/" + header, anchor, fault, *test)


KERNELS = {
    "detail/fill.cuh": [
        kernel("last slot of a tile forgotten", "detail/fill.cuh", "warp_begin + slots_of_warp : tile_end;",
               "warp_begin + slots_of_warp : tile_end - 1;", TOKENS),
        kernel("last offset not staged", "detail/fill.cuh", "i <= slice.last;", "i < slice.last;", TILES),
        kernel("last visit forgotten", "detail/fill.cuh", "if (i < count) visit(i);", "if (i + 1 < count) visit(i);", TREE),
        kernel("document of a slot one early", "detail/fill.cuh", "if (offsets[middle + 1] <= slot)",
               "if (offsets[middle + 1] < slot)", TOKENS),
    ],
    "detail/scan.cuh": [
        kernel("last value not added", "detail/scan.cuh", "if (begin + i < count) values[i]",
               "if (begin + i + 1 < count) values[i]", TOKENS),
        kernel("tiles before forgotten", "detail/scan.cuh", "before = append(before, tile_sums.all);", "",
               WEIGHTS),
        kernel("warps before forgotten", "detail/scan.cuh", "if (w == warp) result.before = result.all;", "", TOKENS),
    ],
    "documents.cuh": [
        kernel("tail's offset forgotten", "documents.cuh", "i = documents + 1 + thread;", "i = documents + 2 + thread;", TOKENS),
    ],
    "blocks.cuh": [
        kernel("runs of blocks one too long", "blocks.cuh", "run_end = (to - 1) / sizes.q_block + 1;",
               "run_end = to / sizes.q_block + 1;", BLOCKS),
        kernel("cut blocks count as full", "blocks.cuh", "k_begin + sizes.k_block <= sizes.slots;",
               "k_begin < sizes.slots;", BLOCKS),
        kernel("zeros behind full blocks one late", "blocks.cuh", "i = all.full + thread;", "i = all.full + 1 + thread;", BLOCKS),
    ],
    "images.cuh": [
        kernel("frames of the images before forgotten", "images.cuh", "limited_product(frame - cu_frames[image],", "limited_product(frame,",
               ("gpu/images", "images of random sizes are laid as on the host")),
    ],
    "weights.cuh": [
        kernel("a document's count forgotten at the next", "detail/count.cuh", "      flush(counts);\n      document = of;",
               "      document = of;", WEIGHTS),
        kernel("slot 0 is a target", "weights.cuh", "(in_slot_0 ? 1 : 0)", "0",
               ("gpu/weights", "the label of slot 0 is nobody's target")),
        kernel("every other lane forgotten", "detail/count.cuh", "delta > 0; delta /= 2", "delta > 1; delta /= 2", WEIGHTS),
    ],
    "detail/marks.cuh": [
        kernel("last mark of a tile forgotten", "detail/marks.cuh", "slot < end; slot += fill_threads)\n    own =",
               "slot + 1 < end; slot += fill_threads)\n    own =", UNPAD),
        kernel("tile before forgotten", "detail/marks.cuh", "i < tile; i += fill_threads)", "i + 1 < tile; i += fill_threads)", UNPAD),
        kernel("a slot's own mark is before it", "detail/marks.cuh", "    own[i] = through;\n    through += found;",
               "    through += found;\n    own[i] = through;", SCATTER),
    ],
    "laid_tokens.cuh": [
        kernel("last documents of a block's scan forgotten", "laid_tokens.cuh", "(store.documents + fill_threads - 1) / fill_threads",
               "store.documents / fill_threads", ONE_LAUNCH),
        kernel("offsets read while they are written", "laid_tokens.cuh",
               "store.finish(sums.all, threadIdx.x, fill_threads);\n  __syncthreads();", "store.finish(sums.all, threadIdx.x, fill_threads);",
               ONE_LAUNCH),
        kernel("offsets of the tile's first document", "laid_tokens.cuh", "kept.padded + slice.first", "kept.padded", ONE_LAUNCH),
    ],
    "rope.cuh": [
        kernel("document open before the tile forgotten", "rope.cuh", "begin < tile_begin ? before_open :", "begin < 0 ? before_open :",
               ("gpu/rope", "documents that begin where tiles of slots begin, and in the tile before")),
        kernel("grids left over", "rope.cuh", "(through.first < functor.images", "(through.first + 1 < functor.images", REFUSED),
        kernel("empty documents have no delta", "rope.cuh", "row.cu_seqlens[d + 1] ? 0 : INT64_MIN;",
               "row.cu_seqlens[d + 1] ? INT64_MIN : INT64_MIN;", ROPE),
        kernel("positions of padding count", "rope.cuh", "if (wants_delta && !at.is_padding())", "if (wants_delta && !at.in_tail)", ROPE),
        kernel("image groups of text", "rope.cuh", "if (image_group != nullptr) image_group[slot] = image.group;",
               "if (image_group != nullptr) image_group[slot] = image.group + (at.is_padding() ? 1 : 0);", ROPE),
        kernel("grids before forgotten", "rope.cuh", "    before = append_grids{}(before, found.all);\n", "",
               ("gpu/rope", "more grids than threads of a block")),
    ],
    "rows.cuh": [
        kernel("last word forgotten", "rows.cuh", "i < all;\n", "i + 1 < all;\n", MOVES),
        kernel("a source counts itself", "rows.cuh", "other < threadIdx.x ? 1 : 0", "other <= threadIdx.x ? 1 : 0", ADJOINT),
        kernel("last source of a row not added", "rows.cuh", "p < cu_places[row + 1]; ++p", "p + 1 < cu_places[row + 1]; ++p", ADJOINT),
        kernel("added in descending order", "rows.cuh", "values[places[p] * width",
               "values[places[cu_places[row] + cu_places[row + 1] - 1 - p] * width", ADJOINT),
    ],
    "unpad.cuh": [
        kernel("one place more than the capacity", "unpad.cuh", "before.all() < capacity", "before.all() <= capacity",
               ("gpu/unpad", "places beyond the capacity are left out")),
        kernel("last row's end forgotten", "unpad.cuh", "columns == 0 ? 0 : rows; row <= rows;", "columns == 0 ? 0 : rows; row < rows;", UNPAD),
        kernel("rows of a tile stand still", "unpad.cuh", "rows_per_tile + n % rows_per_tile", "rows_per_tile", SCATTER),
    ],
    "offsets.cuh": [
        kernel("one chunk too many", "offsets.cuh", "n < offsets[row.documents];", "n <= offsets[row.documents];", CHUNKS),
        kernel("short chunks forgotten", "offsets.cuh", "(length + chunk - 1) / chunk", "length / chunk", CHUNKS),
        kernel("last element offset forgotten", "offsets.cuh", "if (n < entries[i])", "if (n + 1 < entries[i])", RAGGED),
    ],
    "tree.cuh": [
        kernel("a run begins one late", "tree.cuh", "if (runs[middle].begin <= slot)", "if (runs[middle].begin < slot)", TREE),
        kernel("first slot of the tail in the tree", "tree.cuh", "slot < tokens ?", "slot <= tokens ?", TREE),
    ],
}
