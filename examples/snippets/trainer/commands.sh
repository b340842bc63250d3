# SPDX-License-Identifier: Apache-2.0
# Run by tests/CMakeLists.txt with bash -e, in an empty folder with omnibal-trainer on the PATH.

# >>> docs/trainer.md
omnibal-trainer --steps 10 --batch 8 --pp 2 --schedule zbh1 --costs costs.json \
  --out result.json --trace trace.json --picture step.svg --report page.html
# <<<
test -s result.json -a -s trace.json -a -s step.svg -a -s page.html

# >>> docs/trainer.md
printf 'vit_num,token_num\n1,300\n4,1063\n0,52\n' >lengths.csv
omnibal-trainer --steps 10 --batch 8 --lengths lengths.csv
# <<<

# >>> docs/trainer.md
omnibal-trainer --steps 10 --batch 8 --costs costs.json --checkpoint runs --checkpoint-every 5
omnibal-trainer --steps 10 --batch 8 --pp 3 --resume runs
# <<<

# >>> docs/trainer.md
omnibal-trainer --steps 10 --batch 8 --costs costs.json --baseline all --out strategies.json
# <<<
test -s strategies.json
