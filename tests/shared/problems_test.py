# SPDX-License-Identifier: Apache-2.0
"""partition, recompute, simulate and plan --problem on problems of known optimum."""
import json

from material import CommandTest, main, need


def known_optima():
    """The problems that come with their answers: paths, contents and answers."""
    for path in need("cases/*.json"):
        with open(path, encoding="utf-8") as file:
            case = json.load(file)
        if isinstance(case, dict) and "expected" in case:
            yield path, case, case["expected"]


OPTIMA = list(known_optima())


class KnownOptima(CommandTest):
    def cases(self, *kinds):
        found = [optimum for optimum in OPTIMA if optimum[1]["kind"] in kinds]
        self.assertTrue(found, f"no problem is of kind {' or '.join(kinds)}")
        return found

    def test_chains(self):
        for path, _, expected in self.cases("ccp"):
            self.assertEqual(self.succeed("partition", "--problem", path)["bottleneck"], expected["bottleneck"], path)

    def test_knapsacks(self):
        for path, _, expected in self.cases("knapsack"):
            report = self.succeed("recompute", "--problem", path, status=0 if expected["feasible"] else 3)
            self.assertEqual(report.get("extra"), expected["min_extra"], path)

    def test_simulations(self):
        for path, _, expected in self.cases("simulate"):
            report = self.succeed("simulate", "--problem", path)
            for key, value in expected.items():
                self.assertEqual(report[key], value, f"{path} {key}")

    def test_plans(self):
        names = {"bottleneck": "bottleneck", "closed_form": "closed_form", "blocking_bottleneck": "blocking_bottleneck",
                 "period_x840": "period", "des_makespan": "makespan", "fwd_var_xp2_feasible": "variance"}
        for path, case, expected in self.cases("joint", "joint_mid", "joint_interleaved"):
            for key, objective in names.items():
                if expected["feasible"] and not expected.get(key):
                    continue
                report = self.succeed("plan", "--problem", path, "--objective", objective,
                                      status=0 if expected["feasible"] else 3)
                if expected["feasible"]:
                    value = expected[key]["value"] if isinstance(expected[key], dict) else expected[key]
                    factor = 840 if key == "period_x840" else 1
                    self.assertEqual(report["objective_numerator"] * factor, value * report["objective_denominator"],
                                     f"{path} {key}")

    def test_scenarios(self):
        for path, case, expected in self.cases("stochastic"):
            mean = self.succeed("plan", "--problem", path, "--objective", "expected_makespan")
            self.assertEqual(mean["objective_numerator"] * len(case["scenarios"]),
                             expected["min_sum_makespan"]["value"] * mean["objective_denominator"], path)
            worst = self.succeed("plan", "--problem", path, "--objective", "worst_makespan")
            self.assertEqual(worst["objective"], expected["min_worst_makespan"]["value"], path)


if __name__ == "__main__":
    main()
