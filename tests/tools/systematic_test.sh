#!/bin/sh
# Systematic low resources: each verdict, the state from one session to the next, and every error that a user can make.
#
#   systematic_test.sh TAGPOOL SYSTEMATIC_TARGET
set -u
tagpool=$(realpath "$1")
work=$(mktemp -d) || exit 1
# A path that no other run of this test has: its processes are looked for.
target=$work/systematic_target
cp "$2" "$target" || exit 1
failures=0
number=0
pid=
trap 'kill $pid 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

XDG_STATE_HOME=$work/state
export XDG_STATE_HOME LC_ALL=C
unset LD_PRELOAD TAGPOOL_TAGS TAGPOOL_THROUGH TAGPOOL_VERIFY TAGPOOL_REPORT TAGPOOL_SEGMENT_DIR

result() { # WHAT, ok when $? is 0
    if [ $? -eq 0 ]; then verdict=ok; else verdict='not ok' failures=$((failures + 1)); fi
    number=$((number + 1))
    echo "$verdict $number - $1"
    [ "$verdict" = ok ] || sed 's/^/# /' "$work/err"
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# Examine a program; what is said lies in $work/err, the status in $status.
examine() { # PROGRAM [OPTION...]
    program=$1
    shift
    rm -f "$work/one"
    "$tagpool" run --systematic --state="$work/one" "$@" -- "$target" "$program" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

found() { # COUNT VERDICT: by the last summary
    grep -qE "^ +$1 $2 " "$work/err"
}

stacks() { # FILE: hashes and verdicts, in no order
    awk '$1 == "stack" { print $3, $4 }' "$1" | sort
}

says() { # STATUS WORDS OPTION...: one sentence on stderr
    expected=$1 words=$2
    shift 2
    "$tagpool" run "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    [ $status -eq "$expected" ] && [ ! -s "$work/out" ] && grep -qF -e "$words" "$work/err"
    result "status $expected and '$words'"
}

# ---- verdicts ----

examine careful
[ $status -eq 0 ] && found 2 failed && grep -q '^2 call stacks, ' "$work/err"
result 'who is careful is not blamed'

examine careless
[ $status -eq 3 ] && found 4 failed && found 1 crashed && grep -q '^5 call stacks, ' "$work/err" &&
    grep -q '^#[0-9] crashed by SIGSEGV$' "$work/err" && grep -q '#0  careless .*systematic_target\.c:' "$work/err"
result 'one of five sites is careless, and is named'
replay=$(sed -n 's/.*--replay=\([0-9]*\) .*/\1/p' "$work/err")
"$tagpool" run --systematic --state="$work/one" --replay="${replay:-0}" -- "$target" careless 2>"$work/err"
[ $? -eq 139 ] && grep -q '^Made to fail: 30 bytes, ' "$work/err" && grep -q '^Crashed: SIGSEGV, address 0x0, ' "$work/err"
result 'its number runs it again'
"$tagpool" run --systematic --state="$work/one" --replay="${replay:-0}" -- "$target" careful 2>"$work/err"
[ $? -eq 0 ] && grep -q 'was not reached: nothing failed' "$work/err"
result 'a stack that is not reached is told'
examine careless -j1 --error-exitcode=17
[ $status -eq 17 ]
result '--error-exitcode'

# Faults by number and by chance are told of when the program dies.
fail() { # PROGRAM HOW [OPTION...]
    program=$1 how=$2
    shift 2
    "$tagpool" run --verify --fail=tag:systematic_target,"$how" "$@" -- "$target" "$program" >"$work/out" 2>"$work/err" \
        </dev/null
    status=$?
}
dies() { # PROGRAM SIGNAL NUMBER: of the request with that number
    for request in 1 2 3 4 5 6 7 8; do
        fail "$1" nth:$request
        [ $status -ne "$3" ] || break
    done
    [ $status -eq "$3" ] && grep -q "^Crashed: $2, " "$work/err" &&
        grep -q "^pid [0-9]* (systematic_target): 1 of $request allocations were made to fail\.$" "$work/err"
}
dies careless SIGSEGV 139 && grep -q '^Made to fail: 30 bytes, tag syst, .* at careless (' "$work/err" &&
    grep -q '#1  careless .*systematic_target\.c:' "$work/err"
result 'who dies of a fault by number: how many there were, the last one, and where'
dies aborting SIGABRT 134
result 'who gives up: how many there were'
fail careful probability:10000
[ $status -ne 139 ] && ! grep -q '^Crashed:' "$work/err"
result 'who ends by itself has not crashed'
fail crashed nth:1000
[ $status -eq 139 ] && ! grep -q '^Crashed:\|made to fail' "$work/err"
result 'and who crashes without a fault is none of our business'
fail aborting nth:1 --json
grep '"kind":"crash"' "$work/err" | grep -q '"faults_injected":1,.*"crash":{"signal":6,'
result 'the same as JSON'

fail careful nth:1000
[ $status -eq 0 ] && grep -q '^tagpool: no allocation was made to fail: ' "$work/err" &&
    tail -n 1 "$work/err" | grep -qx 'tagpool: stops=0 leaks=0 program-status=0'
result 'where nothing failed that is told'
"$tagpool" run --verify --tags=nosuch -- "$target" careful >"$work/out" 2>"$work/err"
[ $? -eq 0 ] && grep -q '^tagpool: no block was looked at: ' "$work/err"
result 'and where there is no such tag'
"$tagpool" run --verify --tags=systematic* -- "$target" careful >"$work/out" 2>"$work/err"
[ $? -eq 0 ] && [ "$(wc -l <"$work/err")" -eq 1 ]
result 'where there is, nothing is told'
TAGPOOL_VERIFY='special=all nonsense' "$tagpool" run "$target" careful 2>"$work/err"
[ $? -eq 0 ] && grep -qx "tagpool: in TAGPOOL_VERIFY, 'nonsense' is not understood, and passed over." "$work/err"
result 'words that are not understood are named'
TAGPOOL_VERIFY='special=all tags=nosuch' "$tagpool" run "$target" careful 2>"$work/err"
[ $? -eq 0 ] && [ ! -s "$work/err" ]
result 'others are not'

examine hung --timeout=1
[ $status -eq 3 ] && found 1 hung && found 1 failed && grep -q '    | waiting' "$work/err"
result 'who waits for ever is killed, however much it writes'

examine aborting
[ $status -eq 3 ] && found 1 aborted && grep -q '^#1 aborted: 10 bytes, .*failed at asked ' "$work/err"
result 'who gives up by abort is told apart'
examine silent
[ $status -eq 0 ] && found 1 altered
result 'other output with the same status is noticed'
examine twice
[ $status -eq 3 ] && found 1 stopped && found 1 through && grep -q 'stopped by BAD_POOL_CALLER' "$work/err"
result 'what the engine stops is told'

if "$tagpool" run --verify --leaks --fail=nth:2 -- "$target" leaky 2>&1 | grep -q 'leaks=1'; then
    examine leaky --leaks
    [ $status -eq 4 ] && found 1 leaked && grep -q '^#[0-9] leaked 1 block$' "$work/err"
    result 'who loses a block is told of'
    examine leaky
    [ $status -eq 0 ]
    result 'and not without --leaks'
else
    skip 'who loses a block is told of' 'leaks are not told here'
fi

# ---- children ----

examine parent
[ $status -eq 3 ] && found 1 crashed && found 1 failed && grep -q '#0  careless' "$work/err"
result 'a child that crashes, where the parent does not care'
examine bereft
[ $status -eq 3 ] && found 1 vanished
result 'a child that vanishes'
examine shell
[ $status -eq 0 ] && found 1 through && found 2 altered
result 'a child that executes another program lives on'

# ---- which stacks ----

examine recursive
[ $status -eq 0 ] && [ "$(stacks "$work/one" | wc -l)" -le 20 ]
result "recursion makes few stacks: $(stacks "$work/one" | wc -l) for 5050 calls of 100 depths"
examine careless -j1
stacks "$work/one" >"$work/expected"
examine careless -j4
stacks "$work/one" | diff "$work/expected" - >"$work/diff"
result 'runs side by side find the same'
examine careless --tags=none
[ $status -eq 0 ] && grep -q 'asked for no memory' "$work/err"
result 'other tags are left alone'
printf 'a line that the shell reads\nwhat is left\n' >"$work/input"
rm -f "$work/one"
{
    read -r _
    "$tagpool" run --systematic --state="$work/one" -- "$target" reader 2>"$work/err"
} <"$work/input"
[ $? -eq 0 ] && found 1 failed && grep -q '^1 call stack, ' "$work/err" && grep -q '^stack 1 .* failed 1 13 ' "$work/one"
result 'each run reads stdin from where it was'
rm -f "$work/one"
echo text | "$tagpool" run --systematic --state="$work/one" -- "$target" reader 2>"$work/err"
[ $? -eq 0 ] && grep -q 'can be read once' "$work/err"
result 'a pipe can be read once: that is told'
examine careful -v
[ "$(grep -c 'there is no memory' "$work/out")" -eq 2 ]
result '-v lets output through'
rm -f "$work/one"
"$tagpool" run --systematic --state="$work/one" -- "$target" careless 2>"$work/err" &
pid=$!
wait "$pid"
[ $? -eq 3 ] && [ -z "$(find /dev/shm /tmp -maxdepth 1 -name "tagpool-systematic.$pid.*" 2>/dev/null)" ]
result 'nothing is left in /dev/shm'
pid=

# ---- from one session to the next ----

rm -rf "$work/one" "$work/state"
slow() { # OPTION...
    "$tagpool" run --systematic "$@" -- "$target" slow 2>"$work/err"
}
slow --max-runs=3
[ $? -eq 0 ] && grep -q 'ended after 3 runs: the same command goes on' "$work/err"
result '--max-runs'
state=$(find "$work/state/tagpool/systematic" -name 'systematic_target-*.txt')
[ "$(stacks "$state" | wc -l)" -eq 3 ]
result 'the state lies where it should'
wait_for() { # COUNT: until so many stacks are done
    for _ in $(seq 500); do
        [ "$(stacks "$state" | wc -l)" -lt "$1" ] || return
        sleep 0.02
    done
}
"$tagpool" run --systematic -j1 -- "$target" slow 2>/dev/null &
pid=$!
wait_for 5
slow
[ $? -eq 1 ] && grep -q 'is in use' "$work/err"
result 'a second session keeps off'
kill -KILL "$pid"
wait "$pid"
left=$(find /dev/shm /tmp -maxdepth 1 -name "tagpool-systematic.$pid.*" 2>/dev/null)
pid=
sleep 0.1
! pgrep -f "$target slow" >/dev/null
result 'what it ran dies with it'
"$tagpool" run --systematic --state="$work/other" -- "$target" careful 2>"$work/err"
[ -n "$left" ] && [ ! -e "$left" ]
result 'what it left in /dev/shm is removed by the next'
cp "$state" "$work/before"
printf 'stack 99 0123456789abc' >>"$state"
# A background command of a shell without job control ignores SIGINT.
"$tagpool" run --systematic -j1 -- "$target" slow 2>"$work/err" &
pid=$!
wait_for 9
kill -TERM "$pid"
wait "$pid"
[ $? -eq 143 ] && grep -q 'ended by SIGTERM: the same command goes on from here' "$work/err"
result 'told to end, it sums up'
slow
[ $? -eq 3 ] && head -c "$(wc -c <"$work/before")" "$state" | cmp -s - "$work/before" && grep -q '^21 call stacks, ' "$work/err"
result 'it goes on from there to the end'
[ "$(stacks "$state" | cut -d' ' -f1 | uniq | wc -l)" -eq 21 ] && ! grep -q '0123456789abc' "$state"
result 'no stack twice, and no piece of a line'
slow
[ $? -eq 3 ] && grep -q '^21 call stacks, ' "$work/err" && grep -q '#0  careless' "$work/err"
result 'all of it is told again when there is nothing left'
cp "$target" "$work/build"
"$tagpool" run --systematic --state="$work/one" -- "$work/build" careful 2>"$work/err"
touch -d '1 hour ago' "$work/build"
"$tagpool" run --systematic --state="$work/one" -- "$work/build" careful 2>"$work/err"
[ $? -eq 0 ] && grep -q 'has changed since' "$work/err" && grep -q '^2 call stacks, ' "$work/err"
result 'another build is examined anew'

# ---- wrong arguments, and what cannot be examined ----

says 1 'something else than the state of this command' --systematic --state="$work/one" -- "$target" careless
says 1 'something else than the state of this command' --systematic --state="$work/input" -- "$target" careless
says 1 'cannot use /dev/null/nothing' --systematic --state=/dev/null/nothing -- "$target" careless
says 1 'there is no stack #77' --systematic --state="$work/one" --replay=77 -- "$target" careless
says 1 'No such file' --systematic --state="$work/none" --replay=1 -- "$target" careless
says 1 'crashes by itself' --systematic --state="$work/two" -- "$target" crashed
says 1 'does not end by itself' --systematic --state="$work/three" --timeout=1 -- "$target" endless
says 2 'say --systematic as well' --replay=1 -- "$target" careful
says 2 'say --systematic as well' --state=x -- "$target" careful
says 2 'say --systematic as well' -v -- "$target" careful
says 2 'needs the name of a file' --systematic --state= -- "$target" careful
says 2 'no number of a stack' --systematic --replay=x -- "$target" careful
says 2 'no number of programs' --systematic -j0 -- "$target" careful
says 2 'no number of seconds' --systematic --timeout=1s -- "$target" careful
says 2 'no number of runs' --systematic --max-runs=-1 -- "$target" careful
says 2 'do not go together' --systematic --fail=nth:1 -- "$target" careful
says 2 'do not go together' --systematic --ends=both -- "$target" careful
says 2 'do not go together' --systematic --json -- "$target" careful
says 2 'no program was named' --systematic
says 127 'no program no-such-program' --systematic -- no-such-program
HOME='' XDG_STATE_HOME='' says 1 'no home directory' --systematic -- "$target" careful

echo "1..$number"
[ $failures -eq 0 ] || echo "# $failures of $number failed"
[ $failures -eq 0 ]
