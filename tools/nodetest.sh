#!/usr/bin/env bash
# Runs the tests of a Node package: nodetest.sh FOLDER. Files run one after the
# other. It fails where none ran, and where one was skipped.
set -euo pipefail

tap=$PWD/bin/$(basename "$1").tap
mkdir -p bin
cd "$1"
node --test --test-concurrency=1 \
	--test-reporter=spec --test-reporter-destination=stdout \
	--test-reporter=tap --test-reporter-destination="$tap"
grep -Eq '^# pass [1-9]' "$tap" || { echo "$1: no test ran"; exit 1; }
grep -qx '# skipped 0' "$tap" && grep -qx '# todo 0' "$tap" || { echo "$1: a test was skipped"; exit 1; }
