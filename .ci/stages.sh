# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by .ci/run and .ci/full, in the checkout: stages with a log each and a table of them all.

export DEBIAN_FRONTEND=noninteractive CTEST_OUTPUT_ON_FAILURE=1
export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"

command=$PWD/build/demo/examples/cli/omnibal # what the README's demo builds
shared=../shared                             # real data beside the checkout, where there is any
# What the README's commands do not install themselves.
packages=(libbenchmark-dev clang clang-format libopenmpi-dev openmpi-bin git)
passed=0
skipped=0

# begin <name>: the logs and the table of stages go to build/ci/<name>.
begin() {
  logs=build/ci/$1
  table=$logs/stages.txt
  alone=$logs/alone/omnibal # a copy of the checkout with nothing beside it, as a stranger has it
  mkdir -p "$logs"
  : >"$table"
  SECONDS=0
  row 'stage' 'wall' 'CPU' ''
}

# Prints a row of the table, or what follows its first column, and keeps the row.
row() {
  printf '%-24s' "$1"
  rest_of_row "$@"
}
rest_of_row() {
  printf '%7s%8s  %s\n' "${@:2}"
  printf '%-24s%7s%8s  %s\n' "$@" >>"$table"
}

left_out() { row "$1" '-' '-' "left out: $2"; }

# stage <name> <function>: runs it into a log of its own; stops everything where it fails.
stage() {
  local name=$1 start=$SECONDS log=$logs/${1// /-}.log TIMEFORMAT='CPU seconds %U %S'
  printf '%-24s' "$name"
  # In the background, because in a condition bash ignores set -e.
  (set -e; time "$2") >"$log" 2>&1 </dev/null &
  if wait $!; then
    count "$log"
    rest_of_row "$name" "$((SECONDS - start)) s" "$(cpu_seconds "$log") s" "$counted"
  else
    rest_of_row "$name" "$((SECONDS - start)) s" '' "FAILED; from $log:"
    explain "$log"
    exit 1
  fi
}

cpu_seconds() { sed -nE 's/^CPU seconds (.*)$/\1/p' "$1" | awk 'END { printf "%.0f", $1 + $2 }'; }

# What a log says of a failure.
explain() {
  grep -E -A 30 '\*\*\*(Failed|Exception|Timeout|Not Run)|^FAILED:|CMake Error' "$1" |
    head -n 80 || true
  echo '... and its end:'
  tail -n 25 "$1"
  local failed
  failed=$(sed -nE 's/.* tests passed, ([0-9]+) tests failed out of .*/\1/p' "$1" | tail -n 1)
  ((${failed:-0} > 0)) || failed=1
  echo "$passed passed, $failed failed, $skipped skipped"
}

# Adds up what ctest says in a log; a stage without ctest counts as one test.
count() {
  total=0
  local left_out=0 number
  while read -r number; do total=$((total + number)); done \
    < <(sed -nE 's/.* tests passed, 0 tests failed out of ([0-9]+)$/\1/p' "$1")
  left_out=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*Skipped' "$1" || true)
  if ((total == 0)); then
    total=1 counted=''
  else
    counted="$((total - left_out)) tests"
    ((left_out == 0)) || counted+=", $left_out skipped"
  fi
  passed=$((passed + total - left_out))
  skipped=$((skipped + left_out))
}

end() {
  row 'total' "$SECONDS s" '' ''
  echo "$passed passed, 0 failed, $skipped skipped" | tee -a "$table"
}

# The command line between <!-- $1 --> and <!-- /$1 --> in the README, without its fence.
readme_command() {
  local text
  text=$(sed -n "/<!-- $1 -->/,/<!-- \/$1 -->/p" README.md | grep -vE '^(<!--|```)' || true)
  if [[ -z ${text//[[:space:]]/} ]]; then
    echo "README.md has no command between <!-- $1 --> and <!-- /$1 -->" >&2
    return 1
  fi
  echo "$text"
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]}" apt-get update
  "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"
}

install_all_packages() { install_packages "${packages[@]}"; }

readme() {
  local text
  text=$(readme_command "$1")
  echo "+ $text"
  bash -euo pipefail -c "$text"
}
readme_demo() { readme demo-command; }

# The README's test command where there is nothing beside the checkout.
readme_test() {
  copy_alone
  cd "$alone"
  unset OMNIBAL_SHARED
  readme test-command
}

# The files under version control as they are now. What was built in the copy before stays.
copy_alone() {
  install_packages git
  mkdir -p "$alone"
  find "$alone" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
  git ls-files -z | tar -c --ignore-failed-read --null --files-from - | tar -x -C "$alone"
}

# preset <name> [configure option...]: configures, builds and tests it.
preset() {
  cmake --preset "$@"
  cmake --build --preset "$1"
  ctest --preset "$1"
}

# cuda <architectures> <examples, ON or OFF> <tests, a regular expression> <target...>
# With examples the package can be installed only where those that it has are among the targets.
cuda() {
  local architectures=$1 examples=$2 tests=$3
  shift 3
  cmake --preset cuda "-DOMNIBAL_BUILD_EXAMPLES=$examples" -DOMNIBAL_WARNINGS_AS_ERRORS=ON \
    "-DCMAKE_CUDA_ARCHITECTURES=$architectures"
  cmake --build --preset cuda --target "$@"
  ctest --preset cuda -R "$tests"
}
