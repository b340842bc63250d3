# SPDX-License-Identifier: Apache-2.0
"""The main job on published tables."""
from material import main, need
from main_job import MainJobTest, job

TABLES = need("data/lengths/ai2d.json", "data/lengths/chartqa.json")


class PublishedTables(MainJobTest):
    def test_order_of_columns(self):
        report = self.succeed(*job(lengths=TABLES, capacity="auto"))
        self.assertEqual(report["samples"], 30730)
        self.check_order(report)


if __name__ == "__main__":
    main()
