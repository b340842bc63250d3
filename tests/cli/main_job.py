# SPDX-License-Identifier: Apache-2.0
"""The main job, omnibal plan --lengths, for the tests of it."""
import os

from command import DATA, CommandTest

TABLE = os.path.join(DATA, "lengths.json")


# A stated capacity takes a tenth of the time of the search for one, which only some tests are about.
def job(*more, lengths=(TABLE,), model="internvl-chat-1.5", dp=8, pp=4, tp=2, memory="80GiB", batch=256,
        capacity="images=10,tokens=4096"):
    tables = [word for table in lengths for word in ("--lengths", table)]
    return ["plan", *tables, "--model", model, "--dp", dp, "--pp", pp, "--tp", tp, "--memory", memory,
            "--global-batch", batch, "--capacity", capacity, *more]


class MainJobTest(CommandTest):
    def check_order(self, report):
        epochs = [report[column]["epoch_seconds"] for column in ("bound", "planned", "published", "unbalanced")]
        self.assertEqual(epochs, sorted(epochs))
