# SPDX-License-Identifier: Apache-2.0
"""Files that people write: a key that nothing reads is an error which names the nearest known one; notes
are not."""
import copy
import itertools
import json
import os
import re

from command import CHECKOUT, DATA, CommandTest, main

NOTES = {"id": "a", "kind": "k", "name": "n", "note": "b", "source": "c", "checks": {}, "expected": 1, "reference_point": 2, "n_opt": 3,
         "x_anything": [], "type": "t"}

MODEL = {"vision": {"layers": 2, "hidden": 64, "a": 4, "ffn": 128},
         "llm": {"layers": 4, "hidden": 64, "a": 4, "kv": 4, "ffn": 128, "vocab": 512},
         "projector_mlp": [[64, 64]], "vit_tokens_per_tile": 256, "llm_tokens_per_tile": 256}
DEVICE = {"memory_bytes": 80 << 30, "matrix_flops": 2e14, "attention_flops": 1e14, "memory_bandwidth": 1.7e12,
          "tensor_parallel_bandwidth": 2.4e11, "pipeline_bandwidth": 2e10, "data_parallel_bandwidth": 2e10,
          "latency_seconds": 1e-5, "layer_overhead_seconds": 5e-5}


def example(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as file:
        return json.load(file)


def stochastic():
    problem = example("pipeline.json")
    layers, count = problem["layers"], problem["microbatches"]
    problem["kind"] = "stochastic"
    problem["devices"] = [{"speed": {"num": 1, "den": 1}} for _ in range(problem["stages"])]
    problem["scenarios"] = [{key: [[one[key]] * count for one in layers] for key in ("fwd", "bwd")}]
    return problem


# Each kind of file: an example, how it is used, and the objects in it, with a known key of each mistyped.
RUN = ["plan", "--lengths", os.path.join(DATA, "lengths.json"), "--capacity", "images=12,tokens=8192", "--dp", 2, "--pp", 2,
       "--global-batch", 64]
FILES = {
    "chain": (example("chain.json"), ["partition", "--problem"], [([], "wieghts", "weights")]),
    "stage": (example("stage.json"), ["recompute", "--problem"],
              [([], "budgte", "budget"), (["layers", 0], "fwdd", "fwd"), (["layers", 0, "modes", 0], "actt", "act")]),
    "step": (example("step.json"), ["simulate", "--problem"], [([], "mb_scal", "mb_scale")]),
    "pipeline": (stochastic(), ["plan", "--problem"],
                 [([], "mem_limt", "mem_limit"), (["layers", 1], "statc", "static"),
                  (["layers", 0, "modes", 0], "extr", "extra"), (["devices", 1], "sped", "speed"),
                  (["devices", 0, "speed"], "dne", "den"), (["scenarios", 0], "wgrd", "wgrad")]),
    "model": (MODEL, [*RUN, "--model"],
              [([], "projectr_mlp", "projector_mlp"), (["vision"], "qk_norm", "qknorm"), (["llm"], "kvs", "kv")]),
    "device": (DEVICE, [*RUN, "--model", "internvl2-8b", "--tp", 4, "--device"], [([], "latency_second", "latency_seconds")]),
    "profile": (example("measured.json"), ["calibrate", "--profile"],
                [([], "layer", "layers"), (["layers", 0], "kept_byte", "kept_bytes")]),
    "shape": (example("shape.json"), ["generate", "--samples", 10, "--out", "made.json", "--shape"],
              [([], "colums", "columns"), (["columns", 0], "bucket", "buckets")]),
}


def at(value, path):
    for key in path:
        value = value[key]
    return value


# ---- the pages --------------------------------------------------------------------------------------

# Where a page describes each kind of file: the words before its table of fields.
PAGES = {"chain": "problems of kind `ccp`", "stage": "those of kind `knapsack`", "step": "those of kind `simulate`",
         "pipeline": "`plan --problem` takes kinds", "model": "### A model", "device": "### A device",
         "profile": "## The profile", "shape": "### A shape"}


class Field:
    """A row of a table of fields: `layers[].modes[].act` is the key act of the object layers[].modes[]."""

    def __init__(self, row):
        name, self.unit, self.default, _ = (cell.strip() for cell in row.strip("|\n").split("|"))
        self.place, _, self.key = name.strip("`").rpartition(".")

    @property
    def required(self):
        return self.default.startswith("required")


def described(name):
    """The fields that the page of a kind of file lists."""
    page = "calibration.md" if name == "profile" else "command-line.md"
    with open(os.path.join(CHECKOUT, "docs", page), encoding="utf-8") as file:
        text = file.read().split(PAGES[name])[1]
    rows = text[text.index("| key | unit | default | meaning |"):].splitlines()[2:]
    fields = [Field(row) for row in itertools.takewhile(lambda row: row.startswith("|"), rows)]
    if name == "stage":
        fields += [field for field in described("pipeline") if field.place.startswith("layers[]")]
    return fields


def place_of(path):
    text = ""
    for key in path:
        text += "[]" if isinstance(key, int) else ("." if text else "") + key
    return text


class KnownKeys(CommandTest):
    def arguments(self, name, content):
        return [*FILES[name][1], self.write(name + ".json", content)]

    def test_notes_are_left_alone(self):
        for name, (content, _, places) in FILES.items():
            with self.subTest(name):
                content = copy.deepcopy(content)
                fields = {(field.place, field.key) for field in described(name)}
                for path, _, _ in places:
                    for key, value in NOTES.items():
                        if (place_of(path), key) not in fields:  # else it has a meaning of its own
                            at(content, path)[key] = value
                done = self.call(*self.arguments(name, content))
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_mistyped_key_is_refused_with_the_nearest(self):
        for name, (content, _, places) in FILES.items():
            for path, key, meant in places:
                with self.subTest(name, path=path):
                    changed = copy.deepcopy(content)
                    at(changed, path)[key] = 1
                    where = [f"[{step}]" if isinstance(step, int) else step for step in path]
                    self.expect_failure(*self.arguments(name, changed),
                                        naming=[f"key = {key}: must be one of", f"did you mean {meant}?", *where])

    def test_pages_list_the_keys_that_readers_know(self):
        for name, (content, _, places) in FILES.items():
            fields = described(name)
            self.assertEqual({field.place for field in fields}, {place_of(path) for path, _, _ in places}, name)
            for path, _, _ in places:
                with self.subTest(name, path=path):
                    changed = copy.deepcopy(content)
                    at(changed, path)["qqqqqqqqqq"] = 1
                    error = self.call(*self.arguments(name, changed)).stderr
                    known = set(re.search("must be one of ([^;\n]*)", error)[1].split(", "))
                    listed = {field.key for field in fields if field.place == place_of(path)}
                    self.assertEqual(known - set(NOTES), listed - set(NOTES))

    def test_pages_say_what_is_required(self):
        for name, (content, _, places) in FILES.items():
            for path, _, _ in places:
                for field in described(name):
                    if field.place != place_of(path) or field.key not in at(content, path):
                        continue
                    changed = copy.deepcopy(content)
                    del at(changed, path)[field.key]
                    done = self.call(*self.arguments(name, changed))
                    with self.subTest(name, path=path, key=field.key):
                        if field.required:
                            self.assertEqual(done.returncode, 2)
                            self.assertIn(field.key, done.stderr)
                        else:
                            self.assertNotIn("missing", done.stderr)

    def test_examples_have_all_required_keys(self):
        for name, (content, _, places) in FILES.items():
            for path, _, _ in places:
                required = {field.key for field in described(name) if field.required and field.place == place_of(path)}
                self.assertLessEqual(required, set(at(content, path)), (name, path))

    def test_a_key_of_another_command_is_refused(self):
        content = example("pipeline.json")
        content["device_order"] = []
        self.expect_failure(*self.arguments("pipeline", content), naming="key = device_order: must be one of")


if __name__ == "__main__":
    main()
