#!/bin/sh
# Installs a build into a temporary prefix; builds and runs the outside program against it in every way that users have:
# find_package (shared, static) and pkg-config (shared, static).
#
# usage: outside.sh BUILD_DIR LIBDIR CMAKE CC       (LIBDIR relative to the prefix, as GNUInstallDirs has it)
set -eu
build=$1 libdir=$2 cmake=$3 cc=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "$build/outside.XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
    echo "outside: $*"
    exit 1
}
# Runs a command; shows what it said only if it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log"
        fail "failed: $*"
    }
}
# run PROGRAM shared|static [FILE]: it works, with a program from a file too if there is one, and it is linked as it says.
run() {
    quietly env LD_LIBRARY_PATH="$prefix/$libdir" "$1" ${3:+"$3"}
    if objdump -p "$1" | grep -q 'NEEDED *libant\.so\.0$'; then linked=shared; else linked=static; fi
    [ $linked = "$2" ] || fail "$1 is linked $linked, not $2"
    echo "outside: $(basename "$1"): $(cat "$work/log")"
}

quietly "$cmake" --install "$build" --prefix "$prefix"
so=$prefix/$libdir/libant.so.0
[ -e "$so" ] && [ -e "$prefix/$libdir/libant.so.0.1.0" ] || fail "no libant.so.0 in $prefix/$libdir"
objdump -p "$so" | grep -q 'SONAME *libant\.so\.0$' || fail "the SONAME is not libant.so.0"
others=$(nm -D --defined-only "$so" | awk '$3 !~ /^ant_[a-z0-9_]+@@LIBANT_0$/ && $3 !~ /^LIBANT_0/ { print $3 }')
[ -z "$others" ] || fail "libant.so shows more than ant_*: $others"
for call in $(sed -n 's/^ANT_API .*[ *]\(ant_[a-z0-9_]*\)(.*/\1/p' "$prefix"/include/ant/*.h); do
    nm -D --defined-only "$so" | grep -q " T $call@@" || fail "libant.so does not show $call"
done

# The moved prefix shows that nothing installed knows where it was built.
mv "$prefix" "$work/moved"
prefix=$work/moved

quietly "$cmake" -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc"
quietly "$cmake" --build "$work/cmake"
run "$work/cmake/outside_shared" shared "$work/cmake/outside_program.so"
run "$work/cmake/outside_static" static "$work/cmake/outside_program.so"

export PKG_CONFIG_PATH="$prefix/$libdir/pkgconfig"
# Options of pkg-config are words. shellcheck disable=SC2046
quietly "$cc" -o "$work/pc_shared" "$here/outside.c" $(pkg-config --cflags --libs ant)
run "$work/pc_shared" shared "$work/cmake/outside_program.so"
quietly "$cc" -static -o "$work/pc_static" "$here/outside.c" $(pkg-config --static --cflags --libs ant)
run "$work/pc_static" static
