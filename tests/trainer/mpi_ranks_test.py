# SPDX-License-Identifier: Apache-2.0
"""omnibal-trainer with processes as ranks: the losses of threads to the bit, and how the other ranks end
when one fails, is killed, or is missing.

    python3 mpi_ranks_test.py build/test/examples/trainer/omnibal-trainer mpiexec

Without mpiexec, where the program was built without MPI, only its refusal is tested, and the rest is
skipped with a line and exit code 77.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

TRAINER = sys.argv[1]
MPIEXEC = sys.argv[2] if len(sys.argv) > 2 else ""
SHORT = ["--steps", "12", "--batch", "8", "--held-out", "16"]
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1"}
# Says which process is which rank, and how each ended: mpiexec tells of the first alone.
SHELL = ('"$0" "$@" & echo "pid $OMPI_COMM_WORLD_RANK $!" >&2; wait $!; '
         'echo "process $OMPI_COMM_WORLD_RANK ended with $?" >&2')


class MpiRanksTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.costs = os.path.join(cls.folder.name, "costs.json")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_trainer(self, before, *arguments):
        return subprocess.run([*before, TRAINER, *SHORT, "--costs", self.costs, *arguments],
                              capture_output=True, text=True, timeout=120, env=ENVIRONMENT)

    def result(self, before, *arguments):
        out = os.path.join(self.folder.name, "result.json")
        ended = self.run_trainer(before, "--out", out, *arguments)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(len(ended.stdout.splitlines()), 1, ended.stdout)
        with open(out) as file:
            return json.load(file)

    def on_processes(self, count, *arguments):
        return self.result([MPIEXEC, "-n", str(count)], "--ranks", "mpi", *arguments)

    def test_losses_are_those_of_threads_to_the_bit(self):
        for count, arguments in [(2, ["--schedule", "zbh1"]), (4, ["--pp", "2", "--dp", "2"])]:
            with self.subTest(arguments=arguments):
                threads = self.result([], *arguments)
                processes = self.on_processes(count, *arguments)
                for key in ["loss", "held_out", "planned", "stages", "capacity"]:
                    self.assertEqual(processes[key], threads[key])
                for one, other in zip(processes["ranks"], threads["ranks"]):
                    for key in ["peak_bytes", "peak_saved_bytes", "predicted_peak_bytes",
                                "planned_peak_bytes"]:
                        self.assertEqual(one[key], other[key])
                    self.assertGreater(one["busy"], 0)
                self.assertEqual(len(processes["step_seconds"]), 12)

    def test_threads_go_on_from_a_checkpoint_of_processes(self):
        folder = os.path.join(self.folder.name, "checkpoints")
        whole = self.result([])
        self.on_processes(2, "--checkpoint", folder, "--checkpoint-every", "5")
        os.rename(os.path.join(folder, "step-000012"), os.path.join(self.folder.name, "last"))
        self.assertEqual(self.result([], "--resume", folder)["loss"], whole["loss"])
        self.assertEqual(self.on_processes(2, "--resume", folder)["loss"], whole["loss"])

    def test_a_rank_that_fails_ends_all_with_its_reason(self):
        ended = self.run_trainer([MPIEXEC, "-n", "2"], "--ranks", "mpi", "--learning-rate", "1e30")
        self.assertEqual(ended.returncode, 1)
        for rank in range(2):
            self.assertRegex(ended.stderr, rf"omnibal-trainer: rank {rank}, step \d+, .*norm of the "
                             r"gradients = -?(nan|inf): must be finite")

    def test_survivors_of_a_killed_rank_say_who_did_not_come_and_at_which_item(self):
        version = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout
        if "Open MPI" not in version and "OpenRTE" not in version:
            self.skipTest("survivors need Open MPI's --enable-recovery")
        for killed in [0, 1]:
            with self.subTest(killed=killed):
                self.check_kill(killed)

    def check_kill(self, killed):
        """Kills a rank in the middle of the run."""
        folder = os.path.join(self.folder.name, f"killed{killed}")
        command = [MPIEXEC, "-n", "2", "--enable-recovery", "sh", "-c", SHELL, TRAINER, "--ranks",
                   "mpi", "--steps", "300", "--batch", "8", "--costs", self.costs,
                   "--deadline", "2", "--checkpoint", folder, "--checkpoint-every", "3"]
        with tempfile.TemporaryFile("w+") as log, subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=log, env=ENVIRONMENT) as run:
            pids = {}
            for _ in range(1200):
                log.seek(0)
                pids = {int(rank): int(pid)
                        for rank, pid in re.findall(r"^pid (\d) (\d+)$", log.read(), re.M)}
                trains = os.path.exists(folder) and os.listdir(folder)
                if len(pids) == 2 and trains:
                    break
                self.assertIsNone(run.poll(), "it ended by itself")
                subprocess.run(["sleep", "0.05"], check=True)
            self.assertTrue(trains, "it does not train")
            os.kill(pids[killed], 9)
            run.wait(timeout=60)
            log.seek(0)
            said = log.read()
        self.assertIn(f"process {killed} ended with 137", said)
        self.assertIn(f"process {1 - killed} ended with 1\n", said)
        place = r"(\w+ of stage \d.*|(loss|logs|report|end) of the step|checkpoint)"
        reason = (rf"rank {1 - killed}, .* #\d+: rank {killed} did not come within 2000 ms"
                  r"( \(in a part: ranks 0, 1 of world\))?")
        if "stopped half-way" in said:  # the survivor cannot go on: MPI may write into its memory
            self.assertRegex(said, rf"omnibal: {reason}; the message of \d+ bytes from rank "
                             rf"{killed} stopped half-way and MPI cannot cancel it")
            return
        self.assertRegex(said, rf"omnibal-trainer: rank {1 - killed}, step \d+, {place}: {reason}")

    def test_wrong_input_is_said_once(self):
        for count, line, arguments in [
                (3, r"processes of mpiexec = 3: must be --pp times --dp, 2", []),
                (2, r".*nowhere: has no checkpoint: No such file or directory",
                 ["--resume", "nowhere"]),
                (2, r".*argument was not expected: --nonsense", ["--nonsense"]),
                (3, r"--size: huge not in .*", ["--size", "huge"]),
                (2, r"--resource = x: must be NAME=COLUMN.*", ["--resource", "x"])]:
            with self.subTest(arguments=arguments):
                ended = self.run_trainer([MPIEXEC, "-n", str(count)], "--ranks", "mpi", *arguments)
                self.assertEqual(ended.returncode, 2)
                said = re.findall("^omnibal-trainer: (.*)$", ended.stderr, re.M)
                self.assertEqual(len(said), 1, ended.stderr)
                self.assertRegex(said[0], rf"\A{line}\Z")

    def test_processes_that_are_no_ranks_are_refused(self):
        ended = self.run_trainer([MPIEXEC, "-n", "2"])
        self.assertEqual(ended.returncode, 2)
        self.assertEqual(re.findall("^omnibal-trainer: (.*)$", ended.stderr, re.M),
                         ["--ranks threads: mpiexec has started 2 processes: add --ranks mpi, or "
                          "start one without it"])
        self.assertEqual(self.run_trainer([MPIEXEC, "-n", "1"]).returncode, 0)

    def test_help_is_said_once(self):
        ended = self.run_trainer([MPIEXEC, "-n", "2"], "--help")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(ended.stdout.count("--checkpoint-every"), 1)


def main():
    if MPIEXEC:
        unittest.main(argv=sys.argv[:1])
    ended = subprocess.run([TRAINER, "--ranks", "mpi"], capture_output=True, text=True)
    assert ended.returncode == 2, ended
    assert ended.stderr == "omnibal-trainer: --ranks mpi: this program was built without MPI\n", ended
    print("skipped: the program was built without MPI")
    sys.exit(77)


if __name__ == "__main__":
    main()
