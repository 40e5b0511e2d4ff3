#!/bin/sh
# words.sh STEP [LAUNCHER...]: the program of a step answers `input` as `words.expected` says. STEP: the directory where it was built.
set -eu
here=$(dirname "$0")
step=$1
shift
component=
if [ -e "$step/counter.so" ]; then component=$step/counter.so; fi
cat "$here/input" | "$@" "$step/words" ${component:+"$component"} | diff "$here/words.expected" -
