# SPDX-License-Identifier: Apache-2.0
"""What `omnibal plan` says and does about tensor parallelism: padding, shared heads, nodes, refusals."""
import os

from command import DATA, CommandTest, main

LENGTHS = os.path.join(DATA, "lengths.json")


def job(*more, model="internvl-chat-1.5"):
    return ["plan", "--lengths", LENGTHS, "--model", model, "--global-batch", 64, "--capacity", "images=12,tokens=8192",
            "--shard-optimizer", *more]


class TensorParallel(CommandTest):
    def assumptions(self, tp, *more):
        report = self.succeed(*job("--dp", 2, "--pp", 2, "--tp", tp, *more))
        return report, "\n".join(report["assumptions"])

    def test_padding_is_said_everywhere(self):
        _, said = self.assumptions(8, "--report", "plan.html")
        line = ("tp 8 pads as Megatron-LM does: attention heads of vision layers from 25 to 32, "
                "vocabulary from 92,553 to 93,184; predicted times and bytes are those of the padded sizes")
        self.assertIn(line, said)
        self.assertIn(line, self.read("plan.html").decode())
        self.assertNotIn("warning", said)
        text = self.call(*job("--dp", 2, "--pp", 2, "--tp", 8, "--format", "text")).stdout
        self.assertIn("- " + line, text)

    def test_nothing_is_padded_that_divides(self):
        report = self.succeed(*job("--dp", 2, "--pp", 2, "--tp", 2, model="llava-1.5-7b"))
        self.assertNotIn("pads", "\n".join(report["assumptions"]))

    def test_nodes(self):
        within, said = self.assumptions(8)
        self.assertIn("240 within a node of 8", "\n".join(within["assumptions"]))
        across, said = self.assumptions(8, "--devices-per-node", 4)
        self.assertIn("warning: tp 8 spans nodes of 4 devices: activations are reduced at the network's 21.2 GB/s, "
                      "not at 240", said)
        self.assertGreater(across["objective"], 2 * within["objective"])
        _, said = self.assumptions(4, "--devices-per-node", 6)
        self.assertIn("warning: tp 4 does not divide the 6 devices of a node", said)

    def test_more_devices_than_key_heads(self):
        _, said = self.assumptions(16)
        self.assertIn("tp 16 is more than the 8 key-value heads", said)
        self.assertIn("warning: tp 16 spans nodes of 8 devices", said)

    def test_a_device_file_has_its_nodes(self):
        device = {"memory_bytes": 80 << 30, "matrix_flops": 2e14, "attention_flops": 1e14, "memory_bandwidth": 1.7e12,
                  "tensor_parallel_bandwidth": 2.4e11, "pipeline_bandwidth": 2e10, "data_parallel_bandwidth": 2e10,
                  "latency_seconds": 1e-5, "layer_overhead_seconds": 5e-5}
        file = self.write("device.json", {**device, "devices_per_node": 4})
        _, said = self.assumptions(8, "--device", file)
        self.assertIn("spans nodes of 4 devices", said)
        _, said = self.assumptions(8, "--device", file, "--devices-per-node", 8)
        self.assertIn("within a node of 8", said)
        self.write("device.json", {**device, "devices_per_node": 0})
        self.expect_failure(*job("--dp", 2, "--pp", 2, "--device", file), naming=["devices_per_node", "0"])

    def test_refusals_name_the_nearest_that_works(self):
        for tp, words in ((5, ["attention heads", "48", "4 or 8"]), (3, ["key-value heads", "8", "2 or 4"]),
                          (24, ["feed-forward width of the language model", "16384", "16"])):
            self.expect_failure(*job("--dp", 2, "--pp", 2, "--tp", tp), naming=[str(tp), "nearest that works", *words])

    def test_shapes_stay_within_a_node(self):
        def tried(*more):
            shapes = self.succeed(*job("--gpus", 16, *more, model="internvl2-8b"))["shapes"]
            return sorted({shape["tp"] for shape in shapes})
        self.assertEqual(tried(), [1, 2, 4, 8])
        self.assertEqual(tried("--devices-per-node", 4), [1, 2, 4])


if __name__ == "__main__":
    main()
