# SPDX-License-Identifier: Apache-2.0
# Run with bash by tests/docs/run_commands.py, in a folder with a copy of examples/data.

# >>> README.md
omnibal plan --lengths examples/data/lengths.json --model internvl-chat-1.5 \
  --dp 8 --pp 4 --tp 2 --memory 80GiB --global-batch 256 --out plan.json --report plan.html
# <<<
test -s plan.json
grep -q '<svg' plan.html

# >>> README.md
omnibal pack --lengths examples/data/lengths.json --capacity images=10,tokens=4096 --dp 8
# <<<
