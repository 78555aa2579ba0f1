# Shared by .ci/run and .ci/long, which source it: named steps, timing, the summary.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off # what counts is what a user of the module gets
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export GOLANGCI_LINT_CACHE=$tmp/golangci STATICCHECK_CACHE=$tmp/staticcheck

budget=0 # seconds for everything; 0 = none
failed=()
table=()

# step NAME COMMAND... runs COMMAND under errexit in a subshell and goes on after a
# failure, so that one run shows all that is wrong.
step() {
  local name=$1 start=$SECONDS result=ok
  shift
  printf '\n=== %s\n' "$name"
  if ((budget && SECONDS >= budget)); then
    result="NOT RUN (over budget)"
  else
    set +e # a command tested by if or || would run without errexit
    (set -euo pipefail; "$@")
    local rc=$?
    set -e
    ((rc == 0)) || result="FAILED ($rc)"
  fi
  [[ $result == ok ]] || failed+=("$name")
  printf -- '--- %s: %s, %d s\n' "$name" "$result" $((SECONDS - start))
  table+=("$(printf '%-42s %6d s  %s' "$name" $((SECONDS - start)) "$result")")
}

# summary prints the table and exits, with 1 if a step failed or the budget is spent.
summary() {
  printf '\n=== summary\n'
  printf '%s\n' "${table[@]}"
  printf '%-42s %6d s\n' total "$SECONDS"
  if ((budget && SECONDS > budget)); then
    failed+=("the budget of $budget s for everything")
  fi
  if ((${#failed[@]})); then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
  fi
  echo 'all steps passed'
  exit 0
}

# nested lists the directories of the nested modules, the tools' own left out.
nested() {
  git ls-files --cached --others --exclude-standard -- '*/go.mod' |
    { grep -vxF internal/tools/go.mod || true; } | xargs -r -n1 dirname
}

# quiet keeps the running commentary of go test -v out of the way.
quiet() { grep -vE '^ *(=== (RUN|PAUSE|CONT|NAME)|--- PASS)|no test files' || true; }

# fuzz TIME fuzzes every target of every module for TIME each, one on each core at a time.
fuzz() {
  local time=$1 dir count bad
  for dir in . $(nested); do
    (cd "$dir" && go test -list '^Fuzz' ./...) |
      awk -v dir="$dir" '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print dir, $2, names[i]; n = 0 }'
  done >"$tmp/targets"
  count=$(wc -l <"$tmp/targets")
  export -f fuzz_one print_input
  export tmp time
  # shellcheck disable=SC2016 # bash -c expands it
  xargs -r -P "$(nproc)" -L 1 bash -c 'out=$(cd "$0" && fuzz_one "$1" "$2" "$time") || touch "$tmp/bad.$2"; printf "%s\n" "$out"' <"$tmp/targets"
  bad=$(find "$tmp" -name 'bad.*' | wc -l)
  echo "fuzz targets: $count, failed: $bad"
  if ((count == 0)); then
    echo "no fuzz target found"
    return 1
  fi
  ((bad == 0))
}

# fuzz_one PACKAGE NAME TIME. Inputs are not made smaller, which would take the time that
# is there for trying more of them (ten instead of 50,000 executions of wal's FuzzOpen).
# Go 1.26 now and then ends a fuzz run with "context deadline exceeded" and no failing
# input (golang/go#75804): that is tried once more.
fuzz_one() {
  local log=$tmp/fuzz.$2.log try
  for try in 1 2; do
    printf '%s %s: ' "$1" "$2"
    if go test -run '^$' -fuzz "^$2\$" -fuzztime "$3" -parallel 1 -fuzzminimizetime 1x -timeout 30m "$1" >"$log" 2>&1 </dev/null; then
      { grep '^fuzz: elapsed' "$log" || echo ok; } | tail -n 1
      return 0
    fi
    echo FAILED
    tail -n 60 "$log" | cut -c1-1000
    if grep -q 'Failing input written' "$log" || ! grep -q '^ *context deadline exceeded$' "$log"; then
      break
    fi
    ((try == 2)) || echo "no failing input: golang/go#75804, once more"
  done
  # The input is printed, since a fresh clone does not outlive the run.
  sed -n 's/.*Failing input written to //p' "$log" | while read -r f; do
    f=$(go list -f '{{.Dir}}' "$1")/$f
    [[ ! -f $f ]] || print_input "$f"
  done
  return 1
}

# print_input FILE prints a failing input so that it can be copied: a long one is packed.
print_input() {
  if (($(wc -c <"$1") <= 4000)); then
    cat "$1"
  else
    echo "gzip, base64:"
    gzip -9 <"$1" | base64 -w 160
  fi
}

# histories LEAST TIMEOUT [go test flags] runs the random, crash and kill tests in
# their long form and fails below LEAST random histories ("histories: N" in the log).
histories() {
  local least=$1 timeout=$2 log=$tmp/histories.log rc=0 sum
  shift 2
  FIELDWISE_LONG=1 go test -run 'Property|Laws|Converge|Survival|Crash|Kill' \
    -count=1 -v -timeout "$timeout" "$@" ./... >"$log" 2>&1 || rc=$?
  if ((rc)); then
    # What failed may stand far up: its names and seeds first, then the end of it all.
    grep -nE '^ *(--- FAIL|FAIL|panic:)|rapid.seed=|REPLOGTEST_SEED=|failed after' "$log" | head -n 60
    echo "played under: $(grep -o 'FIELDWISE_SEED=[0-9]*' "$log" | sort -u | xargs)"
    quiet <"$log" | tail -n 400
    return "$rc"
  fi
  grep -E 'histories: |^(ok|FAIL|panic)' "$log" | { grep -v 'no tests to run' || true; }
  sum=$(sed -nE 's/.*histories: ([0-9]+).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
  echo "histories in total: $sum, at least $least wanted"
  ((sum >= least))
}
