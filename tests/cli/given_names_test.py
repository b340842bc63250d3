# SPDX-License-Identifier: Apache-2.0
"""Errors that the library finds name the keys of the file, or the options, that the person gave."""
import copy
import os

from command import DATA, CommandTest, main
from known_keys_test import MODEL, RUN, example, stochastic

LARGE = 2**62


def changed(content, path, value):
    content = copy.deepcopy(content)
    owner = content
    for key in path[:-1]:
        owner = owner[key]
    if value is None:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return content


def text_of(path):
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else ("." if text else "") + key
    return text


class GivenNames(CommandTest):
    def expect_names(self, arguments, name, content, changes):
        """Each change: the path that is set, the value, and the place that the error names, if another."""
        for path, value, *named in changes:
            with self.subTest(name, path=path, value=value):
                file = self.write(name, changed(content, path, value))
                place = named[0] if named else text_of(path)
                separator = "." if name == "model.json" else ": "
                self.expect_failure(*arguments, file, naming=[f"{name}{separator}{place} = "])

    def test_problems_of_plans(self):
        layer, mode = ["layers", 1], ["layers", 0, "modes", 1]
        content = stochastic()
        content["layers"][0]["modes"] = [{"name": "none", "extra": 0, "act": 2}, {"name": "full", "extra": 1, "act": 1}]
        self.expect_names(["plan", "--problem"], "problem.json", content, [
            *([[*layer, key], -1] for key in ("fwd", "bwd", "wgrad", "static", "cf", "cb", "step", "reduction", "gather")),
            ([*layer, "wgrad"], LARGE), ([*layer, "modes"], []),
            *([[*mode, key], -1] for key in ("extra", "act", "trans", "act_w")),
            ([*layer, "fwd"], LARGE, "times of all layers"), ([*layer, "static"], LARGE, "bytes of all layers"),
            (["mem_limit"], [1]), (["mem_limit"], [1] * 100, "mem_limit"),
            (["mem_limit"], [-1] * content["stages"], "mem_limit[0]"),
            (["memory_margin"], -1), (["reserved"], [-1] * content["stages"], "reserved[0]"),
            (["devices"], [], "devices"), (["devices", 0, "speed", "num"], -1), (["devices", 0, "speed", "den"], 0),
            (["stages"], 0), (["microbatches"], 0), (["virtual"], 2),
            (["tied"], [[0, 0]], "tied[0]"), (["together"], [[0, 10**6]], "together[0]"),
            (["apart"], [[1, 1]], "apart[0]"),
            (["scenarios"], []), (["scenarios", 0, "fwd"], [], "scenarios[0].fwd"),
            (["scenarios", 0, "bwd", 1], [], "scenarios[0].bwd[1]"), (["scenarios", 0, "bwd", 1, 2], -1),
            (["scenarios", 0, "wgrad"], [[1]], "scenarios[0].wgrad"), (["alpha"], {"num": 2, "den": 1}),
            ([*layer, "input_grad"], False)])

    def test_steps_stages_and_chains(self):
        step = example("step.json")
        self.expect_names(["simulate", "--problem"], "step.json", step, [
            (["device_order"], [["F0.0"]] + [[]] * (step["stages"] - 1), "device_order"), (["stages"], 0),
            (["virtual"], 0)])
        self.expect_names(["recompute", "--problem"], "stage.json", example("stage.json"), [
            (["inflight"], 0), (["budget"], -1), (["layers", 0, "fwd"], -1), (["layers", 0, "modes", 0, "act"], -1)])
        self.expect_names(["partition", "--problem"], "chain.json", example("chain.json"), [
            (["weights", 2], -1), (["parts"], 0)])

    def test_steps(self):
        step = example("step.json")
        lists = {key: [0] * step["stages"] for key in ("wgrad", "recompute", "act", "step")}
        step = {**step, "mb_scale": [1] * step["microbatches"], **lists}
        for key in ("fwd", "bwd", "wgrad", "cf", "cb", "mb_scale", "recompute", "act", "step"):
            for value, named in (([*step[key], 1], f"{key} = "), ([*step[key][:-1], -1], f"{key}[{len(step[key]) - 1}] = ")):
                with self.subTest(key, value=value):
                    self.expect_failure("simulate", "--problem", self.write("step.json", {**step, key: value}),
                                        naming=[f"omnibal: {named}"])
        for key, value, named in (("fwd", [LARGE] * step["stages"], "times"), ("act", [LARGE] * step["stages"], "act"),
                                  ("mb_scale", [LARGE] * step["microbatches"], "mb_scale"),
                                  ("recompute", [99] * step["stages"], "recompute[0] = 99: must not be more than bwd,")):
            with self.subTest(key, value=value):
                self.expect_failure("simulate", "--problem", self.write("step.json", {**step, key: value}),
                                    naming=[f"omnibal: {named}"])

    def test_shapes(self):
        shape = {"columns": [{"name": "a", "buckets": [[1, 2, 3]]},
                             {"name": "b", "buckets": [[1, 2, 3]], "plus": {"a": 2}}]}
        self.expect_names(["generate", "--samples", 3, "--out", "t.json", "--shape"], "shape.json", shape, [
            (["columns", 1, "name"], "a"), (["columns", 1, "buckets"], [[1, 2, 0]]),
            (["columns", 1, "buckets", 0], [2, 1, 3], "columns[1].buckets"),
            (["columns", 1, "plus", "a"], LARGE, "columns[1].plus")])

    def test_models(self):
        self.expect_names([*RUN, "--memory", "80GiB", "--model"], "model.json", MODEL, [
            *([["vision", key], 0] for key in ("layers", "hidden", "a", "ffn")), (["vit_tokens_per_tile"], 0),
            *([["llm", key], 0] for key in ("layers", "hidden", "a", "kv", "ffn", "vocab")),
            (["llm_tokens_per_tile"], 0), (["projector_mlp", 0], [0, 1], "projector_mlp[0]"),
            (["llm", "kv"], 3), (["llm", "a"], 7), (["vision", "full_attention_layers"], 99)])

    def test_measurements(self):
        profile = example("measured.json")
        row = ["layers", 1]
        for key in ("forward_seconds", "backward_seconds", "weight_gradient_seconds", "kept_bytes", "transient_bytes",
                    "kept_for_w_bytes"):
            profile["layers"][1].setdefault(key, 0)
        self.expect_names(["calibrate", "--profile"], "profile.json", profile, [
            (["layers"], []),
            *([[*row, key], 1e-300] for key in ("forward_seconds", "backward_seconds", "kept_bytes", "transient_bytes",
                                                "kept_for_w_bytes")),
            ([*row, "weight_gradient_seconds"], 400)])

    def test_profiles_of_a_plan(self):
        row = {"name": "vision", "tiles": 1, "forward_seconds": 0.1}
        run = [*RUN, "--memory", "80GiB", "--tp", 2, "--model", "internvl2-8b", "--profile"]
        self.expect_names(run, "profile.json", {"layers": [row], "tp": 2}, [
            (["tp"], 4), (["layers", 0, "name"], "audio", "fits[0]"), (["layers", 0, "mode"], "half", "fits[0]")])

    def test_advice_is_in_the_same_words(self):
        problem = changed(example("pipeline.json"), ["layers", 0, "wgrad"], LARGE)
        self.expect_failure("plan", "--problem", self.write("p.json", problem), naming="must not be more than bwd,")
        model = changed(MODEL, ["llm", "kv"], 3)
        self.expect_failure(*RUN, "--memory", "80GiB", "--model", self.write("m.json", model), naming="must divide llm.a")

    def test_options(self):
        run = ["plan", "--lengths", os.path.join(DATA, "lengths.json"), "--model", "internvl2-8b"]
        base = {"--dp": 2, "--pp": 2, "--global-batch": 64, "--memory": "80GiB"}
        for option, value, words in [("--tp", 5, "--tp = 5: "), ("--virtual", 2, "--virtual = 2: "),
                                     ("--memory", "5GiB", "--memory = "), ("--memory", "5GiB", "more than --reserve")]:
            with self.subTest(option, words=words):
                given = {**base, option: value}
                self.expect_failure(*run, *(part for pair in given.items() for part in pair), naming=words)

    def test_reasons_of_shapes_passed_over(self):
        report = self.succeed("plan", "--lengths", os.path.join(DATA, "lengths.json"), "--model", "internvl2-8b",
                              "--gpus", 7, "--global-batch", 64, "--memory", "80GiB", "--capacity", "images=12,tokens=8192")
        reasons = [shape["passed_over"] for shape in report["shapes"] if shape["tp"] == 7]
        self.assertEqual(len(reasons), 1)
        self.assertTrue(reasons[0].startswith("--tp = 7: must divide"), reasons)


if __name__ == "__main__":
    main()
