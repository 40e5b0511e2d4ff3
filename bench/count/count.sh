#!/usr/bin/env bash
# How many instructions an operation of libant's takes, counted by valgrind: the noise-free measure. ./dev bench --count runs it.
#
# usage: count.sh PROGRAM DOCUMENT [--check | --write]
#
# PROGRAM is build/release/bench/count, DOCUMENT docs/counts.md, which explains what is counted. Prints a table;
# --check: compares it with the figures in the document, and fails if one has grown by more than 2 %;
# --write: puts it, and where the instructions of a call and of a swap go, into the document.
set -euo pipefail
export LC_ALL=C

times=64   # operations a segment; a multiple of what async_64 does at once
segments=8 # of which the first warms up
limit=2    # per cent
begin="<!-- BEGIN COUNTS: ./dev bench --count --write -->"
end="<!-- END COUNTS -->"
# With strict-mremap valgrind refuses the moves (MREMAP_DONTUNMAP).
rows=(call.flat call_data.flat call_direct.flat async_1.flat async_64.flat request_new.flat alloc_1.flat alloc_256.flat swap_idle.flat
    call.strict call_data.strict request_new.strict alloc_1.strict swap_idle.strict
    call_data.copy)
profiles=(call.flat swap_idle.flat)

say() { echo "count: $*" >&2; }
die() {
    say "$*"
    exit 1
}
usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
program=$1 document=$2 mode=${3-}
case $mode in '' | --check | --write) ;; *) usage ;; esac
[ $# -le 3 ] || usage
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- Counting -------------------------------------------------------------------------------------------------------

# The threads pass each other a baton (machine_virtual.c). If one can preempt another in the middle of that, it goes otherwise now and then. At one real-time
# priority they never do, as batch jobs seldom.
if chrt -f 1 true 2>/dev/null; then
    quiet=(chrt -f 1)
else
    quiet=(chrt -b 0)
    say "real-time scheduling is not permitted: the last digits may differ between runs"
fi

# callgrind ROW: the counts of each segment, in $work/ROW.1, .2 ...
callgrind() {
    "${quiet[@]}" valgrind -q --tool=callgrind --fair-sched=yes --zero-before=segment --dump-after=segment \
        --compress-strings=no --compress-pos=no --callgrind-out-file="$work/$1" \
        "$program" "${1%.*}" --mover "${1#*.}" --times $times --segments $segments >"$work/$1.log" 2>&1
}

# dearest ROW: the file of the segment with the most instructions. Whoever finds the baton passed already does not wait for it, which saves some:
# so this is the one where nobody was overtaken.
dearest() {
    local i
    for ((i = 2; i <= segments; i++)); do
        awk -v file="$work/$1.$i" '/^summary:/ { print $2, file }' "$work/$1.$i"
    done | sort -n | tail -1 | cut -d ' ' -f 2-
}

# functions FILE: "instructions<tab>part<tab>function" of one operation, a line each, the most first. A function's instructions are those in itself; what is
# inlined in it is its own. Parts: libant, but for the virtual machine; that; libc (with the dynamic linker); liburcu. What bench/count does itself is left out.
functions() {
    awk -v times=$times '
        /^ob=/ { object = substr($0, 4) }
        /^fl=/ { file = substr($0, 4) }
        /^fn=/ {
            name = substr($0, 4)
            sub(/@@.*/, "", name)
            part = file ~ /\/machine_virtual\.c$/ ? "virtual" : object ~ /\/liburcu/ ? "liburcu" : object ~ /\/(libc|ld-linux)[^\/]*$/ ? "libc" : "libant"
            key = file ~ /\/bench\/count\// ? "" : part "\t" name
        }
        /^calls=/ { getline; next } # the next line is what the called function took
        /^[0-9]/ && key != "" { sum[key] += $2 }
        END { for (key in sum) printf "%.3f\t%s\n", sum[key] / times, key }' "$1" | sort -t "$(printf '\t')" -k1,1nr -k3
}

# row NAME: "NAME total libant virtual libc liburcu", instructions of one operation; nothing if it cannot be counted here.
row() {
    if ! callgrind "$1"; then
        grep -q "the mover .* cannot run" "$work/$1.log" || die "$(cat "$work/$1.log")"
        sed -n 's/^ant: no pool: /count: /p' "$work/$1.log" >>"$work/missing"
        return 0
    fi
    functions "$(dearest "$1")" >"$work/$1.functions"
    awk -F'\t' -v name="$1" '
        { sum[$2] += $1; total += $1 }
        END { printf "%s %.0f %.0f %.0f %.0f %.0f\n", name, total, sum["libant"], sum["virtual"], sum["libc"], sum["liburcu"] }' "$work/$1.functions"
}

count_all() {
    local name
    for name in "${rows[@]}"; do
        row "$name"
    done >"$work/counts"
    [ ! -e "$work/missing" ] || sort -u "$work/missing" >&2
}

# --- Showing --------------------------------------------------------------------------------------------------------

# What the figures depend on beside libant's sources.
tools() {
    local compiler
    compiler=$(awk -F= '/^CMAKE_C_COMPILER:/ { print $2 }' "$(dirname "$program")/../CMakeCache.txt")
    echo "$("$compiler" --version | head -1), $(ldd --version | head -1), $(valgrind --version), $(uname -m)"
}

show() {
    local heading="%-14s %-8s %9s %9s %9s %9s %9s\n"
    # shellcheck disable=SC2059
    printf "$heading" operation mover total libant virtual libc liburcu
    awk -v format="$heading" '{ split($1, it, "."); printf format, it[1], it[2], $2, $3, $4, $5, $6 }' "$work/counts"
}

# --- The document ---------------------------------------------------------------------------------------------------

# in_document: what stands between the marks.
in_document() { awk -v begin="$begin" -v end="$end" '$0 == begin { on = 1 } on { print } $0 == end { on = 0 }' "$document"; }

table() {
    echo "| operation | mover | total | libant | virtual | libc | liburcu |"
    echo "|---|---|---|---|---|---|---|"
    awk '{ split($1, it, "."); printf "| %s | %s | %d | %d | %d | %d | %d |\n", it[1], it[2], $2, $3, $4, $5, $6 }' "$work/counts"
}

# profile ROW: where its instructions go, the ten functions with the most.
profile() {
    echo "**One \`${1%.*}\` with \`${1#*.}\`**, the functions in which most instructions are:"
    echo
    echo "| instructions | part | function |"
    echo "|---|---|---|"
    awk -F'\t' 'NR <= 10 { printf "| %.0f | %s | `%s` |\n", $1, $2, $3; next }
        { rest += $1 }
        END { printf "| %.0f | | %d others |\n", rest, NR - 10 }' "$work/$1.functions"
}

generated() {
    local name
    echo "$begin"
    echo
    table
    echo
    echo "With $(tools)."
    for name in "${profiles[@]}"; do
        echo
        profile "$name"
    done
    echo
    echo "$end"
}

write() {
    [ -n "$(in_document)" ] || die "$document has no line '$begin'"
    generated >"$work/generated"
    awk -v begin="$begin" -v end="$end" -v generated="$work/generated" '
        $0 == begin { inside = 1; while ((getline line < generated) > 0) print line }
        !inside { print }
        $0 == end { inside = 0 }' "$document" >"$work/document"
    cat "$work/document" >"$document"
    say "wrote the figures into $document"
}

check() {
    in_document | awk -F' *[|] *' 'NF >= 7 && $4 ~ /^[0-9]+$/ { print $2 "." $3, $4 }' >"$work/kept"
    [ -s "$work/kept" ] || die "$document has no figures"
    in_document | grep -qxF "With $(tools)." ||
        say "the figures in $document were made with other tools: $(in_document | sed -n 's/^With //p')"
    awk -v limit=$limit '
        NR == FNR { kept[$1] = $2; order[++n] = $1; next }
        { now[$1] = $2; if (!($1 in kept)) order[++n] = $1 }
        END {
            printf "%-24s %9s %9s %9s %8s\n", "operation.mover", "kept", "now", "grown by", ""
            for (i = 1; i <= n; i++) {
                name = order[i]
                if (!(name in now) || !(name in kept)) {
                    missing += !(name in now)
                    printf "%-24s %9s %9s\n", name, name in kept ? kept[name] : "-", name in now ? now[name] : "-"
                    continue
                }
                grown = now[name] - kept[name]
                bad = grown * 100 > kept[name] * limit
                worse += bad
                printf "%-24s %9d %9d %+9d %+7.1f%%%s\n", name, kept[name], now[name], grown, grown * 100 / kept[name], bad ? "  too much" : ""
            }
            printf "%d of %d have grown by more than %d %%, %d could not be counted\n", worse, n, limit, missing
            exit worse > 0
        }' "$work/kept" "$work/counts"
}

count_all
case $mode in
--check) check ;;
--write)
    show
    write
    ;;
*) show ;;
esac
