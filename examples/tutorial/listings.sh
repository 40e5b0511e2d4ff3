#!/bin/sh
# listings.sh PAGE: every listing of the page, a block between ```c and ```, is in the file that the line before it names at its end, "`FILE`:", by its path from
# this directory. A line "..." in a listing stands for lines that are left out.
set -eu
page=$(realpath "$1")
cd "$(dirname "$0")"
awk '
    function complain(what) { print ARGV[1] ":" FNR ": " what; bad = 1 }
    function read_file(    line) {
        lines = 0
        while ((getline line < file) > 0) text[++lines] = line
        close(file)
        if (lines == 0) complain(file " is not there")
    }
    # Behind which line the lines first to last of the block end, looked for from line at on; 0: they are not there.
    function find(at, first, last,    i) {
        for (; at + last - first <= lines; at++) {
            for (i = first; i <= last && text[at + i - first] == block[i];) i++
            if (i > last) return at + last - first + 1
        }
        return 0
    }
    function check(    i, first, at) {
        read_file()
        at = first = 1
        for (i = 1; i <= count + 1; i++) {
            if (i <= count && block[i] !~ /^ *\.\.\.$/) continue
            if (i > first) at = find(at, first, i - 1)
            if (at == 0) { complain(file " does not have: " block[first]); return }
            first = i + 1
        }
        checked++
    }
    /^```c$/ { inside = 1; count = 0; if (file == "") complain("of which file?"); next }
    /^```$/ { if (inside) check(); inside = 0; file = ""; next }
    inside { block[++count] = $0; next }
    match($0, /`[^`]+\.[ch]`:$/) { file = substr($0, RSTART + 1, RLENGTH - 3) }
    END { print checked + 0 " listings"; exit bad || checked == 0 }
' "$page"
