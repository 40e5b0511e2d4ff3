#!/bin/sh
# Have the tests produced every error that the headers promise?
#
#   errors.sh clear DIR             empties DIR, where unit tests note the errors they have seen
#   errors.sh list HEADER...        lists what the headers promise, a line each: function error
#   errors.sh check DIR HEADER...   fails for each that no test has noted in DIR
#
# In a header, the lines " *   -ENAME  text" below a line " * Error...:" belong to the function whose prototype follows
# the comment. A test notes "function -ENAME" lines in any file of the directory $ANT_ERRORS_SEEN.
set -eu
export LC_ALL=C

# Two names of one number are one error.
one_name() { sed 's/-ENOTSUP$/-EOPNOTSUPP/; s/-EWOULDBLOCK$/-EAGAIN/' | sort -u; }

promised() {
    awk '
        FNR == 1 { flush() }
        /^\/\*/ { flush(); comment = 1 }
        comment && /^ \* Errors?([ ,(].*)?:$/ { listing = 1; next }
        comment && listing && /^ \*   -E/ {
            line = $0
            sub(/^ \*   /, "", line)
            while (match(line, /^-E[A-Z0-9]+/)) {
                errors[++count] = substr(line, RSTART, RLENGTH)
                line = substr(line, RLENGTH + 1)
                if (!sub(/^, */, "", line)) break
            }
            next
        }
        comment && listing && !/^ \*   / { listing = 0 }
        comment { if (/\*\//) { comment = 0; listing = 0 } next }
        count && match($0, /ant_[a-z0-9_]+\(/) {
            name = substr($0, RSTART, RLENGTH - 1)
            for (i = 1; i <= count; i++) print name, errors[i]
            count = 0
        }
        END { flush(); exit bad }
        function flush() {
            if (count) { print FILENAME ": a list of errors with no function after it, near line " FNR > "/dev/stderr"; bad = 1 }
            count = 0
        }' "$@"
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
clear)
    rm -rf "$1"
    mkdir -p "$1"
    chmod 1777 "$1" # tests that give up root note errors too
    ;;
list)
    promised "$@" | one_name
    ;;
check)
    seen=$1
    shift
    promised "$@" >"$seen/.promised"
    one_name <"$seen/.promised" >"$seen/.sorted"
    find "$seen" -type f ! -name '.*' -exec cat {} + | one_name >"$seen/.seen"
    if [ ! -s "$seen/.seen" ]; then
        echo "no test has noted any error: run all unit tests first (ctest -L unit)"
        exit 1
    fi
    comm -23 "$seen/.sorted" "$seen/.seen" >"$seen/.missing"
    comm -13 "$seen/.sorted" "$seen/.seen" >"$seen/.unnamed"
    if [ -s "$seen/.unnamed" ]; then
        echo "note: produced by a test, but named by no contract:"
        sed 's/^/    /' "$seen/.unnamed"
    fi
    echo "$(wc -l <"$seen/.sorted") errors promised, $(wc -l <"$seen/.missing") of them produced by no test"
    if [ -s "$seen/.missing" ]; then
        sed 's/^/    /' "$seen/.missing"
        exit 1
    fi
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
