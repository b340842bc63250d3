# SPDX-License-Identifier: Apache-2.0
# Run with bash by tests/docs/run_commands.py, in a folder with a copy of examples/data.

# >>> docs/execution.md
omnibal plan --lengths examples/data/lengths.json --model internvl-chat-1.5 --dp 8 --pp 4 --tp 2 \
  --memory 80GiB --global-batch 256 --capacity images=6,tokens=1784 --execution execution.json
# <<<
python3 "$SNIPPETS/read_execution.py"

# >>> docs/execution.md
omnibal replay --execution execution.json --measured measured.json --svg step.svg
# <<<
