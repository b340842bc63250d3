#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gives omnibal-indices files that are wrong: one line with the place of the fault, and its exit status.

usage: bad_input_test.py COMMAND
"""
import json
import pathlib
import subprocess
import sys
import tempfile

CASE = '{"operation": "%s", "cases": [{"name": "x", "in": %s}]}'
# Text of the file, exit status, what the error has to say.
FILES = (
    ("", 2, "is not JSON"),
    ('{"operation": "cu_seqlens", "cases": [', 2, "is not JSON"),
    ("[]", 2, "must be an object"),
    ('{"cases": []}', 2, "operation"),
    ('{"operation": "cu_seqlen", "cases": []}', 2, "must be one of cu_seqlens, "),
    ('{"operation": "cu_seqlens", "operation": "labels", "cases": []}', 2, "operation"),
    ('{"operation": "cu_seqlens"}', 2, "cases"),
    ('{"operation": "cu_seqlens", "cases": [3]}', 2, "must be an object"),
    (CASE % ("cu_seqlens", '{"lengths": [1, "a"], "multiple": 1}'), 2, 'case x: lengths[1] = "a"'),
    (CASE % ("cu_seqlens", '{"lengths": [1]}'), 2, "case x: multiple"),
    (CASE % ("cu_seqlens", '{"lengths": [NaN], "multiple": 1}'), 2, "is not JSON"),
    (CASE % ("cu_seqlens", '{"lengths": [1], "lengths": [2], "multiple": 1}'), 2, "lengths"),
    (CASE % ("cu_seqlens", '{"lengths": [1], "multiple": 1, "foo": 3}'), 2, "foo = 3"),
    (CASE % ("vision_cu_seqlens", '{"grid_thw": [[1, 2, 2], [1, "b", 2]]}'), 2, "grid_thw[1][1]"),
    (CASE % ("cu_seqlens", '{"lengths": [1, -3], "multiple": 1}'), 0, "case x: lengths[1] = -3"),
    (CASE % ("cu_seqlens", '{"lengths": [0, 2147483648], "multiple": 1}'), 0, "lengths[1] = 2147483648"),
    (CASE % ("token_ids", '{"lengths": [], "multiple": 1, "slots": 2147483647}'), 0,
     "slots = 2147483647"),
    (CASE % ("block_mask", '{"lengths": [], "slots": 0, "block": 4, "mask": "document_causal_chunk", '
                           '"parameter": 0}'), 0, "case x: parameter = 0"),
    (CASE % ("block_mask", '{"lengths": [1], "slots": 1, "block": [4, 0], "mask": "document_full"}'), 0,
     "case x: block = 0"),
    (CASE % ("offsets", '{"lengths": [1], "kv_lengths": [-1], "page": 1}'), 0, "kv_lengths[0] = -1"),
    (CASE % ("cu_seqlens_fixed", '{"lengths": [], "multiple": 1, "slots": 0, '
                                 '"document_capacity": -1}'), 0, "document_capacity = -1"),
    (CASE % ("mrope", '{"variant": "qwen2_5_vl", "merge": 2, "token_type": [2], "video_grid_thw": '
                      '[[1, 2, 2]], "second_per_grid": [-1]}'), 0, "second_per_grid[0] = -1"),
    (CASE % ("vision_scatter", '{"tokens": [1], "image_token": 1, "tile_used": [1], '
                               '"rows_per_tile": 9223372036854775807}'), 0, "rows_per_tile"),
)


def main(command):
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cases.json"
        for text, status, words in FILES:
            path.write_text(text, encoding="utf-8")
            run = subprocess.run([command, path], capture_output=True, text=True, timeout=60,
                                 check=False)
            if run.returncode != status or words not in run.stderr or run.stderr.count("\n") != 1:
                faults.append(f"{text}: exit status {run.returncode}, {run.stderr!r}")
            elif status == 0 and "error" not in json.loads(run.stdout)["cases"][0]:
                faults.append(f"{text}: no error in the answer")
        for path in (folder, f"{folder}/none"):
            run = subprocess.run([command, path], capture_output=True, text=True, timeout=60,
                                 check=False)
            if run.returncode != 2 or path not in run.stderr:
                faults.append(f"{path}: exit status {run.returncode}, {run.stderr!r}")
    print("\n".join(faults) or f"{len(FILES) + 2} files answered as they should be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
