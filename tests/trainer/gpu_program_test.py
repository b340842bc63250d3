# SPDX-License-Identifier: Apache-2.0
"""What omnibal-trainer-cuda refuses in one line, with or without GPUs; where there is one, that it trains.

    python3 gpu_program_test.py build/cuda/examples/trainer/omnibal-trainer-cuda
"""
import os
import subprocess
import sys
import unittest

NO_GPU = r"GPUs = \d+: must be at least the ranks of this machine, {}: with --ranks nccl each has a " \
         r"GPU of its own"
LAUNCHED = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "99", "OMNIBAL_ID_FILE": "id"}


class GpuProgramTest(unittest.TestCase):
    def run_program(self, *arguments, **variables):
        left_out = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "OMNIBAL_ID_FILE")
        environment = {name: text for name, text in os.environ.items() if name not in left_out}
        return subprocess.run([PROGRAM, *arguments], env=environment | variables, text=True,
                              capture_output=True, timeout=300, check=False)

    def refuses(self, status, line, *arguments, **variables):
        ended = self.run_program(*arguments, **variables)
        self.assertRegex(ended.stderr, rf"\Aomnibal-trainer: {line}\n\Z")
        self.assertEqual((ended.returncode, ended.stdout), (status, ""))

    def test_ranks_without_a_gpu_each_are_refused(self):
        if "built without NCCL" in self.run_program("--ranks", "nccl", "--pp", "99").stderr:
            self.skipTest("there is no NCCL")
        self.refuses(2, NO_GPU.format(99), "--ranks", "nccl", "--pp", "99")
        self.refuses(2, NO_GPU.format(100), "--ranks", "nccl", **LAUNCHED)

    def test_wrong_variables_of_a_launcher_are_refused_by_name(self):
        if "built without NCCL" in self.run_program("--ranks", "nccl", "--pp", "99").stderr:
            self.skipTest("there is no NCCL")
        self.refuses(2, r"WORLD_SIZE = not set: must be the number of all processes, since RANK is "
                     r"set", "--ranks", "nccl", RANK="0")
        self.refuses(2, r"RANK = 2: must be less than WORLD_SIZE, 2", "--ranks", "nccl",
                     **LAUNCHED | {"RANK": "2"})

    def test_attention_by_cudnn_is_refused_where_it_cannot_be(self):
        self.refuses(2, r"--attention cudnn: (takes bf16 alone, add --precision bf16|this program was "
                     r"built without cuDNN or the headers of its frontend)", "--attention", "cudnn")

    def test_a_step_trains_where_there_is_a_gpu(self):
        ended = self.run_program("--steps", "2", "--batch", "4", "--pp", "1", "--held-out", "4")
        if "(cudaErrorNoDevice)" in ended.stderr or "(cudaErrorInsufficientDriver)" in ended.stderr:
            self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1))
            self.skipTest("there is no GPU")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
