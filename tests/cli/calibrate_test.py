# SPDX-License-Identifier: Apache-2.0
"""Measured layers: omnibal calibrate, and omnibal plan --profile."""
import json
import os
import unittest

from command import DATA, CommandTest, main

TABLE = os.path.join(DATA, "lengths.json")
WORKLOADS = [(1, 300, 50000), (2, 900, 300000), (4, 1500, 700000), (6, 2500, 2000000), (9, 4000, 3000000),
             (9, 1200, 500000), (3, 3800, 8000000)]


def rows(name, forward, kept, noise=lambda k: 1.0):
    """Measurements of a layer whose forward takes `forward(tiles, tokens, squared)` seconds."""
    table = []
    for k, (tiles, tokens, squared) in enumerate(WORKLOADS):
        for mode in ("none", "full"):
            seconds = forward(tiles, tokens, squared) * noise(k)
            table.append({"name": name, "mode": mode, "tiles": tiles, "tokens": tokens, "squared_tokens": squared,
                          "forward_seconds": seconds, "backward_seconds": seconds * (2 if mode == "none" else 3),
                          "kept_bytes": kept(tiles, tokens) * (1.0 if mode == "none" else 0.1),
                          "transient_bytes": 0 if mode == "none" else kept(tiles, tokens)})
    return table


def vision(factor=1.0, noise=lambda k: 1.0):
    return rows("vision", lambda tiles, tokens, squared: factor * (5e-5 + 1e-3 * tiles), lambda tiles, tokens: 3e7 * tiles,
                noise)


def language(factor=1.0):
    return rows("language", lambda tiles, tokens, squared: factor * (5e-5 + 2e-6 * tokens + 1e-10 * squared),
                lambda tiles, tokens: 9e4 * tokens)


def job(*more, model="internvl2-8b", shape=("--dp", 8, "--pp", 4, "--tp", 2)):
    return ["plan", "--lengths", TABLE, "--model", model, *shape, "--memory", "80GiB", "--global-batch", 256,
            *(() if "--capacity" in more else ("--capacity", "images=10,tokens=4096")), *more]


class Calibrate(CommandTest):
    def fits(self, profile, *more):
        report = self.succeed("calibrate", "--profile", self.write("profile.json", profile), *more)
        return report, {fit["name"]: fit for fit in report["fits"]}

    def test_fits_what_was_measured(self):
        report, fits = self.fits({"version": 1, "tp": 2, "layers": vision() + language()})
        self.assertEqual((report["measurements"], report["tp"]), (28, 2))
        self.assertLess(report["margin"], 1e-6)
        forward = fits["vision"]["forward_nanoseconds"]
        self.assertAlmostEqual(forward["constant"], 5e4, delta=1)
        self.assertAlmostEqual(forward["per_tile"], 1e6, delta=1)
        self.assertEqual(forward["undetermined"], [])
        forward = fits["language"]["forward_nanoseconds"]
        self.assertAlmostEqual(forward["per_token"], 2e3, delta=1e-3)
        self.assertAlmostEqual(forward["per_squared_token"], 0.1, delta=1e-6)
        full = next(mode for mode in fits["language"]["modes"] if mode["name"] == "full")
        self.assertAlmostEqual(full["extra_nanoseconds"]["per_token"], 2e3, delta=1e-3)
        self.assertAlmostEqual(full["kept_bytes"]["per_token"], 9e3, delta=1e-3)

    def test_errors_tell_noise(self):
        _, fits = self.fits({"layers": vision(noise=lambda k: 1.05 if k % 2 else 0.95)})
        forward = fits["vision"]["forward_nanoseconds"]
        self.assertGreater(forward["standard_errors"]["per_tile"], 1e4)
        self.assertLess(forward["standard_errors"]["per_tile"], 3e5)
        self.assertAlmostEqual(forward["largest_residual"], 0.05, delta=0.03)

    def test_text_names_what_the_rows_cannot_tell(self):
        profile = [{"name": "vision", "tiles": 8, "forward_seconds": 0.01}]
        done = self.call("calibrate", "--profile", self.write("p.json", {"layers": profile}), "--format", "text")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("vision, forward time, ns", done.stdout)
        self.assertIn("?: the measurements do not determine this coefficient", done.stdout)

    def test_bad_calibrations(self):
        report, _ = self.fits({"tp": 2, "layers": vision() + language()})
        self.write("good.json", report)
        self.assertEqual(self.succeed("calibrate", "--profile", "good.json")["fits"], report["fits"])
        forward, mode = ("fits", 0, "forward_nanoseconds"), ("fits", 0, "modes", 0)
        for path, value, words in [(("measurements",), -1, "measurements = -1"),
                                   (("largest", "tiles"), -3, "largest.tiles = -3"),
                                   (("fits", 1, "name"), report["fits"][0]["name"], "fits[1].name"),
                                   (("fits", 0, "name"), 7, "fits[0].name = 7"),
                                   ((*mode, "name"), None, "modes[0].name = null"),
                                   ((*forward, "measurements"), -2, "measurements = -2"),
                                   ((*forward, "largest_residual"), -0.5, "largest_residual = -0.5"),
                                   ((*forward, "rms_residual"), -0.5, "rms_residual = -0.5"),
                                   ((*forward, "standard_errors", "per_tile"), -1, "standard_errors.per_tile = -1"),
                                   ((*forward, "undetermined"), "per_tile", "undetermined"),
                                   ((*forward, "undetermined"), ["per_tile", "per_hour"], "undetermined[1]")]:
            with self.subTest(path=path):
                changed = json.loads(json.dumps(report))
                holder = changed
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = value
                self.expect_failure("calibrate", "--profile", self.write("bad.json", changed), naming=["bad.json", words])

    def test_bad_profiles(self):
        good = {"name": "vision", "tiles": 1, "forward_seconds": 0.1}
        for row, naming in (
                ({**good, "forward_seconds": -1}, "layers[1].forward_seconds = -1"),
                ({**good, "forward_seconds": "fast"}, "layers[1].forward_seconds = \"fast\""),
                ({**good, "forward_seconds": 1e9}, "layers[1].forward_seconds"),
                ({**good, "kept_bytes": -5}, "layers[1].kept_bytes = -5"),
                ({**good, "tiles": -1}, "layers[1].tiles = -1"),
                ({**good, "tiles": 1.5}, "layers[1].tiles = 1.5"),
                ({**good, "tokens": 2**40}, "layers[1].tokens"),
                ({**good, "tokens": 2**63}, "layers[1].tokens = 9223372036854775808: must be less than 2^63"),
                ({**good, "tokens": 4, "squared_tokens": 17}, "layers[1].squared_tokens = 17"),
                ({**good, "foward_seconds": 1}, ("layers[1]: key = foward_seconds", "forward_seconds")),
                ({**good, "mode": "full", "backward_seconds": 1}, ("layers[1].backward_seconds", "mode none")),
                ({**good, "weight_gradient_seconds": 1}, "layers[1].weight_gradient_seconds"),
                ({"tiles": 1}, "layers[1].name"),
                ({**good, "name": ""}, "layers[1].name"),
                (7, "layers[1] = 7")):
            with self.subTest(row=row):
                self.expect_failure("calibrate", "--profile", self.write("p.json", {"layers": [good, row]}),
                                    naming=("p.json", *([naming] if isinstance(naming, str) else naming)))
        for profile, naming in (({"layers": []}, "at least one measurement"), ({}, "layers"), ({"layers": 3}, "layers"),
                                ([1], "p.json"), ({"tp": 0, "layers": [good]}, "tp = 0"), ("{", "p.json")):
            with self.subTest(profile=profile):
                self.expect_failure("calibrate", "--profile", self.write("p.json", profile), naming=naming)
        self.expect_failure("calibrate", "--profile", "missing.json", naming="missing.json")
        self.expect_failure("calibrate", naming="--profile")


class PlanWithProfile(CommandTest):
    def profile(self, *layers, **more):
        return self.write("profile.json", {**more, "layers": [row for rows in layers for row in rows]})

    def test_measured_times_are_the_plans_times(self):
        once = self.succeed(*job("--profile", self.profile(vision(), language())))
        twice = self.succeed(*job("--profile", self.profile(vision(2), language(2))))
        ratio = twice["planned"]["epoch_seconds"] / once["planned"]["epoch_seconds"]
        self.assertGreater(ratio, 1.8)
        self.assertLess(ratio, 2.0)
        stages = [self.succeed(*job("--profile", self.profile(vision(factor), language())))["planned"]["cuts"][1]
                  for factor in (0.1, 10)]
        self.assertGreater(stages[0], stages[1])

    def test_a_calibration_plans_as_its_profile_does(self):
        profile = self.profile(vision(noise=lambda k: 1 + 0.01 * (k % 3)), language(), tp=2)
        self.succeed("calibrate", "--profile", profile, "--out", "fitted.json")
        plans = [self.succeed(*job("--profile", name, "--out", "plan.json")) for name in (profile, "fitted.json")]
        self.assertEqual(plans[0]["planned"], plans[1]["planned"])
        self.assertEqual(plans[0]["margin"], plans[1]["margin"])
        self.assertEqual(json.loads(self.read("plan.json"))["profile"]["name"], "fitted.json")

    def test_what_was_not_measured_is_said(self):
        report = self.succeed(*job("--profile", self.profile(vision())))
        text = "\n".join(report["assumptions"])
        self.assertIn("14 measurements of profile.json", text)
        self.assertIn("of vision only a part was measured", text)
        self.assertIn("of projector, embedding, language, head nothing was measured", text)
        self.assertNotIn("not from measured layers", text)
        self.assertIn("more than the 9 tiles or 4,000 tokens that were measured", text)
        within = self.succeed(*job("--profile", self.profile(vision()), "--capacity", "images=9,tokens=4000"))
        self.assertNotIn("extrapolated", "\n".join(within["assumptions"]))

    def test_errors_of_bytes_become_the_margin(self):
        uneven = vision()
        for k, row in enumerate(uneven):
            row["kept_bytes"] *= 1.1 if k % 4 == 0 else 1.0
        profile = self.profile(uneven, language())
        report = self.succeed(*job("--profile", profile))
        self.assertGreater(report["margin"], 0.02)
        self.assertLess(report["margin"], 0.11)
        self.assertTrue(any("larger than predicted" in line for line in report["assumptions"]))
        self.assertEqual(self.succeed(*job("--profile", profile, "--margin", 0.5))["margin"], 0.5)
        wild = [{"name": "vision", "tiles": tiles, "kept_bytes": bytes} for tiles, bytes in ((1, 1e9), (1, 1e3))]
        self.expect_failure(*job("--profile", self.profile(wild)), naming=("profile.json", "--margin"))

    def test_profiles_of_another_run_are_refused(self):
        self.expect_failure(*job("--profile", self.profile(vision(), tp=4)), naming=("tp = 4", "2"))
        audio = [{**row, "name": "audio"} for row in vision()]
        self.expect_failure(*job("--profile", self.profile(audio)), naming=("audio", "vision, projector"))
        partial = [{**row, "mode": "half"} for row in vision() if row["mode"] == "none"]
        for row in partial:
            del row["backward_seconds"]
        self.expect_failure(*job("--profile", self.profile(partial)), naming=("half", "none, selective, full"))

    def test_shapes_are_searched_for_as_measured(self):
        shape = ("--gpus", 8)
        self.expect_failure(*job("--profile", self.profile(vision()), shape=shape), naming="tp is missing")
        report = self.succeed(*job("--profile", self.profile(vision(), tp=2), shape=shape))
        self.assertEqual(report["tp"], 2)
        for one in report["shapes"]:
            if one["tp"] != 2:
                self.assertIn("measure the layers at the tensor parallelism of the run", one["passed_over"])


if __name__ == "__main__":
    main()
