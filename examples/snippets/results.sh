# SPDX-License-Identifier: Apache-2.0
# Run with bash by tests/docs/run_commands.py, in a folder with a copy of examples/data. The published
# tables do not ship; generated ones of their form replace them.
omnibal generate --shape examples/data/shape.json --samples 600 --seed 1 --out ai2d.json
omnibal generate --shape examples/data/shape.json --samples 900 --seed 2 --out chartqa.json

# >>> docs/results.md
omnibal plan --lengths ai2d.json --lengths chartqa.json --model internvl-chat-1.5 \
  --dp 8 --pp 4 --tp 2 --global-batch 256 --memory 80GiB
# <<<
omnibal plan --lengths ai2d.json --lengths chartqa.json --model internvl-chat-1.5 \
  --dp 8 --pp 4 --tp 2 --global-batch 256 --memory 80GiB --capacity images=9,tokens=4096
