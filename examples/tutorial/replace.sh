#!/bin/bash
# replace.sh BUILT [LAUNCHER...]: a dialogue with the program of step 6, while the file of its component becomes another again and again. BUILT: the
# directory where the steps were built.
set -eu
here=$(dirname "$0")
built=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

dialogue() {
    cp "$built/5_object/counter.so" "$work/counter.so"
    coproc words { exec "$@" "$built/6_swap/words" "$work/counter.so"; }
    local pid=$words_PID to=${words[1]} from=${words[0]} answer
    say() {
        echo "> $1"
        echo "$1" >&"$to"
        hear
    }
    hear() {
        read -r answer <&"$from"
        echo "$answer"
    }
    replace() {
        echo "# $1"
        cp "$2" "$work/new.so"
        mv "$work/new.so" "$work/counter.so"
        kill -HUP "$pid"
        hear
    }
    say "one two three"
    say "four	five"
    replace "a version for which a tab is a space" "$built/6_swap/counter.so"
    say "six	seven"
    replace "a file that is no program" "$here/input"
    say "eight"
    replace "a version with another state" "$built/7_layout/counter.so"
    say "nine ten"
    replace "the first version, which knows no way back" "$built/5_object/counter.so"
    say "eleven"
    exec {to}>&-
    wait "$pid"
}

dialogue "$@" | diff "$here/replace.expected" -
