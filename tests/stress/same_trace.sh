#!/bin/sh
# Does the same seed give the same run, event for event, in two builds?
#
#   same_trace.sh DIR1 DIR2 [SEEDS]    DIR1 and DIR2 are build directories, e.g. build/release and build/asan;
#                                      SEEDS: how many, from 1 up; default 1000
#
# Prints a line for each mover; fails, with the first lines that differ, if any seed's trace does.
set -eu
export LC_ALL=C

[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
one=$1/tests/seed_trace
two=$2/tests/seed_trace
seeds=${3-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for mover in strict flat; do
    export ANT_MOVER=$mover
    status=0
    "$one" 1 "$seeds" >"$work/one" || status=$?
    if [ "$status" -eq 77 ]; then
        echo "mover $mover: not on this kernel"
        continue
    fi
    [ "$status" -eq 0 ]
    "$two" 1 "$seeds" >"$work/two"
    # Empty traces would be the same everywhere; so each seed must have its line, and each line its own trace.
    different=$(cut -d' ' -f2- "$work/one" | sort -u | wc -l)
    if [ "$different" -ne "$seeds" ]; then
        echo "mover $mover: $seeds seeds give $different traces"
        exit 1
    fi
    if ! cmp -s "$work/one" "$work/two"; then
        seed=$(diff "$work/one" "$work/two" | sed -n '2s/^[<>] \([0-9]*\) .*/\1/p')
        echo "seed $seed, mover $mover: the traces of $1 and $2 differ"
        "$one" "$seed" >"$work/one"
        "$two" "$seed" >"$work/two"
        diff "$work/one" "$work/two" | head -n 10 || true
        exit 1
    fi
    echo "$seeds seeds, mover $mover: the traces of $1 and $2 are the same, byte for byte"
done
