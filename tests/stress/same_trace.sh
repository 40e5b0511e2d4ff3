#!/bin/sh
# Does the same seed give the same run, event for event, in two builds?
#
#   same_trace.sh DIR1 DIR2 [SEEDS]    DIR1 and DIR2 are build directories, e.g. build/release and build/asan;
#                                      SEEDS: how many, from 1 up; default 50
#
# Prints one line; fails, with the first lines that differ, if any seed's trace does.
set -eu
export LC_ALL=C

[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
one=$1/tests/seed_trace
two=$2/tests/seed_trace
seeds=${3-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for mover in flat copy; do
    seed=1
    while [ "$seed" -le "$seeds" ]; do
        ANT_MOVER=$mover "$one" "$seed" >"$work/one"
        ANT_MOVER=$mover "$two" "$seed" >"$work/two"
        # More than the line that names the seed: an empty trace would be the same everywhere.
        if ! cmp -s "$work/one" "$work/two" || [ "$(wc -l <"$work/one")" -lt 50 ]; then
            echo "seed $seed, mover $mover: the traces of $1 and $2 differ"
            diff "$work/one" "$work/two" | head -n 10 || true
            exit 1
        fi
        seed=$((seed + 1))
    done
done
echo "$seeds seeds: the traces of $1 and $2 are the same, byte for byte"
