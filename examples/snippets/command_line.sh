# SPDX-License-Identifier: Apache-2.0
# Run with bash by tests/docs/run_commands.py, in a folder with a copy of examples/data.

# >>> docs/command-line.md
omnibal pack --lengths examples/data/speech.csv --resource audio=frames --resource text=words \
  --capacity audio=3000,text=4096
# <<<

# >>> docs/command-line.md
omnibal pack --lengths examples/data/lengths.json --capacity images=10,tokens=4096 --dp 8 \
  --out packs.json
# <<<
python3 "$SNIPPETS/read_packs.py"

# >>> docs/command-line.md
omnibal generate --shape examples/data/shape.json --samples 4000 --out lengths.json
omnibal generate --like lengths.json --text-only 0.5 --samples 1200000 --out mixed.npy
# <<<
cmp lengths.json examples/data/lengths.json
omnibal generate --shape "$SNIPPETS/shape.json" --samples 100 --out small.json

# >>> docs/command-line.md
omnibal plan --lengths examples/data/lengths.json --model internvl-chat-1.5 \
  --dp 8 --pp 4 --tp 2 --memory 80GiB --global-batch 256 --out plan.json --report plan.html
# <<<

# >>> docs/command-line.md
omnibal rebalance --table examples/data/held.json
omnibal rebalance --table examples/data/held.json --resource images --tolerance 0.01
omnibal rebalance --table examples/data/held.json --weights images=12000,tokens=39 --out moves.json
# <<<
omnibal rebalance --table "$SNIPPETS/held.json" --weights images=12000,tokens=39

# >>> docs/command-line.md
omnibal partition --problem examples/data/chain.json
omnibal recompute --problem examples/data/stage.json
omnibal simulate --problem examples/data/step.json
omnibal plan --problem examples/data/pipeline.json --objective closed_form
# <<<
