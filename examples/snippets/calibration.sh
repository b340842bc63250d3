# SPDX-License-Identifier: Apache-2.0
# Run with bash by tests/docs/run_commands.py, in a folder with a copy of examples/data.

# >>> docs/calibration.md
omnibal calibrate --profile examples/data/measured.json --out fitted.json
omnibal plan --profile fitted.json --lengths examples/data/lengths.json --model internvl2-8b \
  --dp 8 --pp 4 --tp 2 --memory 80GiB --global-batch 256
# <<<

# The profile that the page shows.
omnibal calibrate --profile "$SNIPPETS/profile.json"
