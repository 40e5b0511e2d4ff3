#!/usr/bin/env bash
# Plants each bug of this directory in a copy of the tree, and shows that the tests find it.
#
# usage: run.sh [--apply] [--scratch DIR] [NAME ...]     NAME: the beginning of a patch's name; all of them without
#
# A patch is one slip as a programmer makes it. What stands above its diff says what it is, which promise it breaks, and in two lines
#
#     Found-by: unit REGEX | campaign FAULTS SEED | explore RUNS SEED
#     Shows: REGEX     what the finder prints because of this bug, and not because of another (grep -E)
#
# unit REGEX are entries of ctest; the others are the programs of `./dev campaign` and `./dev explore`. Every finder passes
# without the bug: that is tried first. --apply only looks whether all patches apply. Exit status 1 if a bug is not found.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=${here%/tests/planted}
scratch=$root/build/planted # tree/ the copy, build/ its build, log/
apply_only=no
jobs=$(nproc)
# A patch is for the tree that git is told of, and not for a repository around it.
export GIT_CEILING_DIRECTORIES

while [ $# -gt 0 ]; do
    case $1 in
    --apply) apply_only=yes ;;
    --scratch)
        scratch=$2
        shift
        ;;
    -*)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 1
        ;;
    *) break ;;
    esac
    shift
done
tree=$scratch/tree build=$scratch/build log=$scratch/log

say() { echo "planted: $*"; }
die() {
    say "$*" >&2
    exit 1
}

# --- Patches --------------------------------------------------------------------------------------------------------

# patches NAME...: their files, a line each.
patches() {
    local name files
    [ $# -gt 0 ] || set -- ""
    for name; do
        files=("$here/$name"*.patch)
        [ -e "${files[0]}" ] || die "no patch begins with '$name'"
        printf '%s\n' "${files[@]}"
    done
}

# field NAME PATCH: what its line "NAME: ..." says.
field() {
    local value
    value=$(sed -n "/^diff /q;s/^$1: *//p" "$2")
    [ -n "$value" ] || die "${2##*/} has no line '$1:'"
    echo "$value"
}

# apply DIRECTORY PATCH [git apply option ...]
apply() {
    local directory=$1 patch=$2
    shift 2
    GIT_CEILING_DIRECTORIES=$(dirname "$directory")
    (cd "$directory" && git apply "$@" "$patch")
}

apply_all() {
    local patch bad=0 count=0
    for patch; do
        count=$((count + 1))
        if ! apply "$root" "$patch" --check; then
            say "${patch##*/} does not apply: make it again for the sources as they are"
            bad=1
        fi
    done
    [ $bad = 1 ] || say "$count patches apply"
    return $bad
}

# --- The copy, and its build ----------------------------------------------------------------------------------------

# files DIRECTORY: what of a tree is built.
files() { (cd "$1" && find CMakeLists.txt cmake include src tests bench -type f | LC_ALL=C sort); }

# Makes the copy what the tree is; what is the same keeps its time, and is not built again.
copy_tree() {
    local file
    mkdir -p "$tree" "$log"
    while read -r file; do
        cmp -s "$root/$file" "$tree/$file" && continue
        mkdir -p "$(dirname "$tree/$file")"
        cp "$root/$file" "$tree/$file"
    done < <(files "$root")
    while read -r file; do
        [ -e "$root/$file" ] || rm "$tree/$file"
    done < <(files "$tree" 2>/dev/null)
}

configure() {
    cmake -S "$tree" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DANT_WERROR=ON -DANT_BUILD_BENCH=OFF -DANT_BUILD_EXAMPLES=OFF \
        >"$log/configure" 2>&1 || die "the copy is not configured: $log/configure"
}

# targets FINDER: what it needs.
targets() {
    case $1 in
    unit\ *)
        # ctest itself does not tell of programs that are not built yet
        sed -n 's|^add_test(\([^ ]*\) "\([^"]*\)".*|\1 \2|p' "$build/tests/CTestTestfile.cmake" | tr -d '[]=' |
            awk -v name="${1#unit }" '$1 ~ name { sub(".*/", "", $2); print $2 }' | sort -u
        ;;
    campaign\ *) printf '%s\n' campaign campaign_check ;;
    explore\ *) echo explore ;;
    *) die "what is the finder '$1'?" ;;
    esac
}

# run FINDER LOG: builds what it needs, and runs it. 2: it does not build.
run() {
    local kind=${1%% *} arguments=${1#* } output=$2
    # shellcheck disable=SC2046
    cmake --build "$build" -j "$jobs" --target $(targets "$1") >"$output" 2>&1 || return 2
    case $kind in
    unit) timeout 600 ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$jobs" -R "$arguments" ;;
    campaign) timeout 600 "$build/tests/campaign" --faults "${arguments% *}" --seed "${arguments#* }" ;;
    explore) timeout 600 "$build/tests/explore" --runs "${arguments% *}" --seed "${arguments#* }" ;;
    esac >"$output" 2>&1 </dev/null
}

# --- Planting -------------------------------------------------------------------------------------------------------

# Every finder passes where nothing is planted.
try_without() {
    local finder output
    while read -r finder; do
        output="$log/without ${finder//[^a-z0-9]/-}"
        run "$finder" "$output" || {
            tail -n 40 "$output"
            die "$finder fails without a bug: $output"
        }
        say "without a bug passes: $finder"
    done < <(for patch; do field Found-by "$patch"; done | sort -u)
}

# evidence SHOWS LOG: the line that shows it, and the first one with the seed that repeats it.
evidence() {
    local line
    for line in "$(grep -Em 1 "$1" "$2")" "$(grep -Em 1 'seed [0-9]' "$2")"; do
        [ -z "$line" ] || echo "    ${line:0:180}"
    done | awk '!seen[$0]++'
}

# plant PATCH: 0 if it is found.
plant() {
    local patch=$1 name finder shows output status=0 start=$SECONDS
    name=$(basename "$patch" .patch)
    output=$log/$name
    finder=$(field Found-by "$patch")
    shows=$(field Shows "$patch")
    apply "$tree" "$patch" || {
        say "$name does not apply"
        return 1
    }
    run "$finder" "$output" || status=$?
    apply "$tree" "$patch" --reverse
    case $status in
    0) say "$name: NOT FOUND by $finder" ;;
    2)
        tail -n 20 "$output"
        say "$name: does not build ($output)"
        ;;
    *)
        if grep -Eq "$shows" "$output"; then
            say "$name: found by $finder ($((SECONDS - start)) s)"
            evidence "$shows" "$output"
            return 0
        fi
        tail -n 20 "$output"
        say "$name: $finder fails, but does not show '$shows' ($output)"
        ;;
    esac
    return 1
}

mapfile -t chosen < <(patches "$@")
[ ${#chosen[@]} -gt 0 ] || exit 1
apply_all "${chosen[@]}"
[ $apply_only = no ] || exit 0
copy_tree
configure
try_without "${chosen[@]}"
found=0
for patch in "${chosen[@]}"; do
    if plant "$patch"; then
        found=$((found + 1))
    fi
done
echo "planted ${#chosen[@]} found $found"
[ $found = ${#chosen[@]} ]
