# SPDX-License-Identifier: Apache-2.0
"""trace."""
import json

from command import CommandTest, main


def reduction(sequence, count=10, **more):
    return {"sequence": sequence, "operation": "all_reduce", "type": "f32", "count": count, "bytes": 4 * count,
            "order": sequence, "issued_ns": 5, "started_ns": 6, "ended_ns": 7, **more}


def record(rank, operations, channel="data", size=3, failure=""):
    return {"version": 1, "channel": channel, "rank": rank, "size": size, "failure": failure,
            "operations": operations}


class Trace(CommandTest):
    def records_as_files(self, records):
        return [self.write(f"{i}.json", one) for i, one in enumerate(records)]

    def channels(self, records):
        return self.succeed("trace", "--flight", *self.records_as_files(records))["channels"]

    def test_equal_records(self):
        (channel,) = self.channels([record(r, [reduction(0), reduction(1)]) for r in (2, 0)])
        self.assertEqual(channel, {"channel": "data", "ranks": 3, "absent": [1], "failures": [],
                                   "first_difference": None})

    def test_first_difference(self):
        records = [record(r, [reduction(i, count=9 if (r, i) == (1, 2) else 8) for i in range(4)]) for r in range(3)]
        records[2]["operations"].pop()
        records[2]["failure"] = "rank 2: \"no\" memory"
        (channel,) = self.channels(records)
        self.assertEqual(channel["first_difference"], {
            "rank": 0, "sequence": 2,
            "explanation": "rank 0 called all_reduce #2 of 8 f32, 32 bytes, "
                           "rank 1 called all_reduce #2 of 9 f32, 36 bytes"})
        self.assertEqual(channel["failures"], [{"rank": 2, "reason": "rank 2: \"no\" memory"}])

    def test_difference_in_the_reduction_alone(self):
        records = [record(r, [reduction(0, reduction="largest" if r == 2 else "sum")]) for r in range(3)]
        (channel,) = self.channels(records)
        self.assertEqual(channel["first_difference"]["explanation"],
                         "rank 0 called all_reduce #0 of 10 f32, sum, 40 bytes, "
                         "rank 2 called all_reduce #0 of 10 f32, largest, 40 bytes")
        del records[2]["operations"][0]["reduction"]  # a record of an older version
        (channel,) = self.channels(records)
        self.assertIsNone(channel["first_difference"])

    def test_message_that_nobody_sent(self):
        receive = {**reduction(0, count=1), "operation": "receive", "peer": 1}
        records = [record(0, [receive], size=2), record(1, [], size=2)]
        (channel,) = self.channels(records)
        self.assertEqual(channel["first_difference"]["explanation"],
                         "rank 0 called receive #0 of 1 f32, 4 bytes, from rank 1; rank 1 called nothing")

    def test_channels_apart(self):
        records = [record(0, [reduction(0)]), record(0, [reduction(0, count=3)], channel="tensor")]
        self.assertEqual([c["channel"] for c in self.channels(records)], ["data", "tensor"])

    def test_bad_records(self):
        good = record(0, [reduction(0)])
        for wrong, part in (
                ([good, good], "is in another file of this channel too"),
                ([good, {**good, "rank": 1, "size": 4}], "size = 4: must be that of the other files, 3"),
                ([{**good, "rank": 3}], "rank"),
                ([{**good, "version": 2}], "version"),
                ([{**good, "operations": 1}], "must be a list of objects"),
                ([record(0, [reduction(0, type="f8")])], "must be byte, bf16, f32, f64 or i64"),
                ([record(0, [reduction(0, reduction="mean")])], "must be sum, smallest or largest"),
                ([record(0, [{**reduction(0), "operation": "gossip"}])], "must be an operation of a channel"),
                ([record(0, [{**reduction(0), "operation": "send"}])], "peer"),
                ([record(0, [reduction(-1)])], "sequence")):
            with self.subTest(part):
                self.expect_failure("trace", "--flight", *self.records_as_files(wrong), naming=part)


if __name__ == "__main__":
    main()
