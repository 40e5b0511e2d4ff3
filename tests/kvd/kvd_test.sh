#!/usr/bin/env bash
# Clients against kvd, while its store is replaced.
#
# usage: kvd_test.sh short|small|full DIRECTORY_OF_KVD DIRECTORY_OF_THE_CLIENTS
#
#   short  some seconds; small: fewer commands, for builds with a sanitizer
#   full   a hundred swaps under each load; and a table of throughput and latency, beside that of a redis-server on the same machine
#
# redis-cli and redis-benchmark are Debian's (redis-tools), which nobody here wrote. So is the redis-server: the same package has it, under the name
# of redis-check-rdb, and a server if it is called redis-server. (The package redis-server would start a service.)
set -euo pipefail
mode=$1
kvd=$2/kvd
clients=$3
here=$(cd "$(dirname "$0")" && pwd)
for tool in redis-cli redis-benchmark; do
    command -v $tool >/dev/null || {
        echo "kvd_test: $tool is missing: apt-get install redis-tools" >&2
        exit 77
    }
done
case $mode in
short) operations=8000 requests=20000 swaps=20 pause=0.05 ;;
small) operations=1500 requests=3000 swaps=20 pause=0.05 ;;
full) operations=200000 requests=0 swaps=100 pause=0.1 ;;
esac

scratch=$(mktemp -d)
processes=() # that run now
cleanup() {
    [ ${#processes[@]} -eq 0 ] || kill -9 "${processes[@]}" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

say() { echo "kvd_test: $*" >&2; }
fail() {
    say "FAILED: $*"
    [ ! -s "$scratch/kvd.err" ] || tail -n 20 "$scratch/kvd.err" | sed 's/^/    /' >&2
    exit 1
}

# --- The server -------------------------------------------------------------------------------------------------------

# start OPTION...: a kvd, on a port that it chooses. Sets pid and port.
start() {
    rm -f "$scratch/ready"
    mkfifo "$scratch/ready"
    "$kvd" --port 0 --start-timeout 100 "$@" >"$scratch/ready" 2>>"$scratch/kvd.err" &
    pid=$!
    processes=("$pid")
    local line=""
    read -r -t 60 line <"$scratch/ready" || true
    [[ $line == "kvd: ready on "* ]] || fail "kvd does not start: $line"
    port=${line##*:}
}

stop() {
    local status=0
    kill -TERM "$pid"
    wait "$pid" || status=$?
    processes=()
    [ $status = 0 ] || fail "kvd has ended with $status"
}

die_suddenly() {
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    processes=()
}

cli() { redis-cli -p "$port" "$@"; }

# info NAME: what INFO says of it.
info() { cli INFO | tr -d '\r' | sed -n "s/^$1://p"; }

# swap VERSION: true if that version serves then. What the report says goes to swaps.log.
swap() {
    local line
    line=$(cli KVD.SWAP "$1")
    echo "$line" >>"$scratch/swaps.log"
    [[ $line == version* ]]
}

# swap_to VERSION: as swap, of one that can serve. The machine may be so busy that its start misses the time limit: then again.
swap_to() {
    until swap "$1"; do
        [[ $(tail -n 1 "$scratch/swaps.log") == *"the time limit passed"* ]] || fail "$1 is refused: $(tail -n 1 "$scratch/swaps.log")"
    done
}

rolled_back() { grep -a -c '^ERR rolled back' "$scratch/swaps.log" || true; }

# swap_all N: v2, v1, v2, ..., and after every fifth the broken one, which fails in another way each time, and must be rolled back.
swap_all() {
    local n version
    for ((n = 1; n <= $1; n++)); do
        version=v$((n % 2 + 1))
        swap_to $version
        sleep "$pause" # spreads them over the load; nothing waits for it
        if ((n % 5 == 0)); then
            ! swap broken || fail "the broken version serves"
            sleep "$pause"
        fi
    done
}

# longest ROLLED_BACK: the longest blackout of the swaps in swaps.log, in us; of those that were rolled back, or of the others.
longest() {
    grep -a -E "$([ "$1" = yes ] && echo '^ERR rolled back' || echo '^version')" "$scratch/swaps.log" |
        sed -E 's/.*blackout ([0-9.]+) us.*/\1/' | sort -g | tail -1
}

# --- Checks -----------------------------------------------------------------------------------------------------------

check() {
    "$clients/kvd_check" --port "$port" "$@" || fail "a client got what it must not get"
}

bad_input_hurts_nobody() {
    start --max-connections 100 --buffers 8 --journal "$scratch/hostile"
    timeout 120 "$clients/kvd_hostile" "$port" 1 || fail "bad input has hurt somebody"
    stop
}

redis_cli_is_answered_as_redis_answers() {
    start
    local version
    for version in v1 v2; do
        swap_to $version
        cli <"$here/redis_cli.txt" >"$scratch/answers"
        cmp -s "$scratch/answers" "$here/redis_cli.expected" || {
            diff -a "$here/redis_cli.expected" "$scratch/answers" >&2 || true
            fail "redis-cli is answered otherwise"
        }
    done
    stop
}

# Everything at once: the client that knows what each key must hold, redis-benchmark, and swaps.
nobody_notices_swaps() {
    : >"$scratch/swaps.log"
    start --journal "$scratch/journal"
    check --operations $((operations / 4)) --seed 1 --save "$scratch/model1"
    "$clients/kvd_check" --port "$port" --operations "$operations" --seed 2 --save "$scratch/model2" >"$scratch/check.log" &
    local checking=$!
    processes+=("$checking")
    redis-benchmark -p "$port" -t ping,set,get,incr -n "$((requests > 0 ? requests : 500000))" -c 20 -P 4 -r 1000 --csv >"$scratch/benchmark.csv" 2>"$scratch/benchmark.err" &
    local benchmark=$!
    processes+=("$benchmark")
    swap_all "$swaps"
    wait $checking || fail "a client got what it must not get, while the store was swapped: $(cat "$scratch/check.log")"
    wait $benchmark || fail "redis-benchmark: $(cat "$scratch/benchmark.err")"
    [ ! -s "$scratch/benchmark.err" ] || fail "redis-benchmark: $(cat "$scratch/benchmark.err")"
    processes=("$pid")
    say "$(cat "$scratch/check.log")"
    [ "$(info swaps)" = "$swaps" ] && [ "$(info swaps_rolled_back)" = "$(rolled_back)" ] || fail "other swaps than those: $(info swaps), $(info swaps_rolled_back)"
    local generation
    generation=$(info generation)
    until [ "$(info generation)" -gt "$generation" ]; do
        kill -HUP "$pid" # the same file again
    done
    say "$swaps swaps, longest blackout $(longest no) us; $(rolled_back) rolled back, longest $(longest yes) us"
}

# What the transformers leave behind is freed even if nobody asks for anything.
an_idle_store_is_swapped_as_often() {
    local n before
    start --start-timeout 60000
    cli SET key x EX 100 >/dev/null
    swap_to v2
    swap_to v1
    before=$(info used_memory)
    for ((n = 0; n < 50; n++)); do
        printf 'KVD.SWAP v2\nKVD.SWAP v1\n'
    done | cli >"$scratch/idle.log"
    [ "$(grep -c '^version' "$scratch/idle.log")" = 100 ] || fail "not all were swapped: $(grep -v '^version' "$scratch/idle.log")"
    [ "$(info used_memory)" = "$before" ] || fail "$before bytes were used before a hundred swaps, $(info used_memory) are now"
    stop
}

# The successor has what is in the journal; one that dies again at once waits for whoever knows better.
a_store_that_dies_is_replaced() {
    # Who dies frees nothing of what it had from malloc: not a leak that LeakSanitizer shall tell of.
    ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 start --journal "$scratch/dying" --swap-paths --start-timeout 60000
    cli SET key 1 >/dev/null
    swap_to "$clients/kv_store_fragile.so"
    cli INCR key >/dev/null
    [[ $(cli DIE) == "ERR the store has died before it answered"* ]] || fail "who killed the store is not told"
    [ "$(cli INCR key)" = 3 ] || fail "the successor has not what the journal has"
    [[ $(cli DIE) == "ERR the store has died before it answered"* ]] || fail "who killed the store again is not told"
    local answer waiting
    exec {waiting}<>"/dev/tcp/127.0.0.1/$port"
    printf 'INCR key\r\n' >&"$waiting" # is there before the swap is asked for
    swap_to v2
    read -r -t 30 answer <&"$waiting" || true
    [ "$answer" = $':4\r' ] || fail "who waited for a store is answered: $answer"
    ! swap "$clients/kv_store_fragile.so" || fail "one that cannot read version 2's state serves"
    swap_to v1
    swap_to "$clients/kv_store_fragile.so"
    printf 'DIE\r\n' >&"$waiting"
    read -r -t 30 answer <&"$waiting" || true
    printf 'DIE\r\n' >&"$waiting" # and kvd ends, with a store that is dead, or about to be
    stop
    exec {waiting}>&-
}

# Nobody asks for them: the timer finds them, and passes through swaps.
what_expires_goes_by_itself() {
    local version n
    start --journal "$scratch/expiry"
    for version in v1 v2 v1; do
        for n in 1 2 3; do
            cli SET "key$n" x PX 50 >/dev/null
        done
        swap_to $version
        until [ "$(cli DBSIZE)" = 0 ]; do :; done
        cli SET "key$version" x PX 50 >/dev/null
        until [ "$(cli DBSIZE)" = 0 ]; do :; done
    done
    [ "$(info expired_keys)" = 12 ] || fail "$(info expired_keys) keys have expired, not 12"
    stop
}

a_damaged_record_is_not_replayed() {
    start --journal "$scratch/damaged"
    cli SET before x >/dev/null
    cli FLUSHALL >/dev/null
    cli SET one 1 >/dev/null
    cli SET two 2 >/dev/null
    stop
    printf 'X' | dd of="$scratch/damaged" bs=1 seek=$(($(stat -c %s "$scratch/damaged") - 1)) conv=notrunc status=none
    start --journal "$scratch/damaged"
    [ "$(cli MGET before one two | tr '\n' ,)" = ,1,, ] || fail "what was replayed is not what was written: $(cli MGET before one two)"
    [ "$(cli DBSIZE)" = 1 ] || fail "there are other keys than those"
    stop
}

# Goes on with that server.
what_was_answered_is_there_after_a_crash() {
    "$clients/kvd_check" --port "$port" --operations 1000000000 --killed --seed 3 --save "$scratch/model3" >"$scratch/killed.log" 2>/dev/null &
    local checking=$!
    while [ "$(cli DBSIZE)" -lt 2000 ]; do :; done
    die_suddenly
    wait $checking || fail "a client of the server that was killed: $(cat "$scratch/killed.log")"
    start --journal "$scratch/journal"
    for n in 1 2 3; do
        check --seed $n --verify "$scratch/model$n" >/dev/null
    done
    stop
    printf 'torn' >>"$scratch/journal"
    start --journal "$scratch/journal" --store v2
    grep -q "its last 4 bytes are no whole frame" "$scratch/kvd.err" || fail "a torn record is not told of"
    check --seed 1 --verify "$scratch/model1" >/dev/null
    stop
    [ "$(cat "$scratch/journal.cut")" = torn ] || fail "what was cut off is not kept"
    echo "precious" >"$scratch/other"
    ! "$kvd" --port 0 --journal "$scratch/other" 2>/dev/null || fail "a file that is no journal is taken"
    [ "$(cat "$scratch/other")" = precious ] || fail "a file that is no journal is changed"
}

# A limit on the size of files does for a full disk.
no_change_is_kept_from_the_journal_unnoticed() {
    mkfifo "$scratch/limited.ready"
    (
        ulimit -f 4096 # KiB
        trap '' XFSZ
        exec "$kvd" --port 0 --journal "$scratch/limited" >"$scratch/limited.ready" 2>/dev/null
    ) &
    pid=$!
    processes=("$pid")
    local line n answer=OK
    read -r -t 60 line <"$scratch/limited.ready"
    port=${line##*:}
    head -c 500000 /dev/zero | tr '\0' x >"$scratch/value"
    for ((n = 0; n < 20; n++)); do
        answer=$(cli -x SET "key$n" <"$scratch/value")
        [ "$answer" = OK ] || break
    done
    [[ $answer == "MISCONF done"* ]] || fail "a change that is not in the journal is answered: $answer"
    [[ $(cli SET other x) == "MISCONF not done"* ]] || fail "a change is not refused"
    cli GET key0 | head -c 500000 | cmp -s - "$scratch/value" || fail "what was set is not there"
    [ "$(info aof_last_write_status)" = err ] || fail "INFO does not say so"
    stop
}

# --- The table --------------------------------------------------------------------------------------------------------

seconds=10 # of each measurement

# measure NAME COMMAND PIPELINE REQUESTS: a line of the table from redis-benchmark; rate: requests a second.
measure() {
    local line
    line=$(redis-benchmark -p "$port" -t "$2" -P "$3" -n "$4" -c 50 -r 100000 -d 64 --csv 2>/dev/null | tail -1 | tr -d '"')
    IFS=, read -r _ rate _ _ p50 _ p99 longest_ms <<<"$line"
    rate=${rate%.*}
    printf '| %s | %s | %s | %s | %s | %s | %s |\n' "${2^^}" "$3" "$1" "$rate" "$p50" "$p99" "$longest_ms"
}

start_redis() {
    port=16399
    mkdir "$scratch/redis"
    (cd "$scratch/redis" && exec -a redis-server "$(command -v redis-check-rdb)" --port $port --save "" --appendonly yes --appendfsync everysec >/dev/null) &
    pid=$!
    processes=("$pid")
    until [ "$(cli PING 2>/dev/null)" = PONG ]; do :; done
}

table() {
    local command pipeline n
    : >"$scratch/swaps.log"
    echo "| command | pipeline | server | requests/s | p50 ms | p99 ms | longest ms |"
    echo "|---|---|---|---|---|---|---|"
    for command in set get; do
        for pipeline in 1 16; do
            start --journal "$scratch/table"
            measure kvd $command $pipeline 200000 >/dev/null # warms up
            n=$((rate * seconds / 50 * 50))
            measure kvd $command $pipeline $n
            swap_all 100 &
            local swapping=$!
            measure "kvd, 100 swaps" $command $pipeline $n
            wait $swapping || exit 1
            stop
            rm -f "$scratch/table"
            start_redis
            measure redis-server $command $pipeline 200000 >/dev/null
            measure redis-server $command $pipeline $((rate * seconds / 50 * 50))
            kill "$pid"
            wait "$pid" || true
            processes=()
            rm -rf "$scratch/redis"
        done
    done
    echo
    echo "$(grep -a -c '^version' "$scratch/swaps.log") swaps, longest blackout $(longest no) us; $(rolled_back) rolled back, longest $(longest yes) us"
}

begin=$SECONDS
bad_input_hurts_nobody
redis_cli_is_answered_as_redis_answers
nobody_notices_swaps
what_was_answered_is_there_after_a_crash
an_idle_store_is_swapped_as_often
a_store_that_dies_is_replaced
what_expires_goes_by_itself
a_damaged_record_is_not_replayed
no_change_is_kept_from_the_journal_unnoticed
[ "$mode" != full ] || table
say "all is well, in $((SECONDS - begin)) s"
