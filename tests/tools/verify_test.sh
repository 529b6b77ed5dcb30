#!/bin/sh
# `tagpool run --verify` beside programs that say of themselves what verified ones would.
#
#   verify_test.sh TAGPOOL REPORT_MAKER GOLDEN_DIRECTORY
#
# With UPDATE_GOLDEN=1 the golden files are written anew, to be looked at before they are kept.
set -u
tagpool=$(realpath "$1")
maker=$(realpath "$2")
golden=$(realpath "$3")
work=$(mktemp -d) || exit 1
failures=0
number=0
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Any library will do for the modules, which lie side by side.
libc=$(ldd "$tagpool" | awk '/libc\.so\.6/ { print $3 }')
TAGPOOL_PRELOAD=$work/libtagpool-preload.so
cp "$(dirname "$libc")/libm.so.6" "$TAGPOOL_PRELOAD"
cp "$TAGPOOL_PRELOAD" "$work/libtagpool-verify.so"
export TAGPOOL_PRELOAD LC_ALL=C
# Under AddressSanitizer: it is meant that another library is preloaded.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
unset LD_PRELOAD TAGPOOL_VERIFY TAGPOOL_REPORT NO_COLOR
# Files in reports are named from here.
cd "$golden/../../.." || exit 1

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

try() { # OPTION... -- PROGRAM...: output in $work/out and $work/err, status in $status
    "$tagpool" run "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

last_line() {
    [ "$(tail -n 1 "$work/err")" = "tagpool: stops=$1 leaks=$2 program-status=$3" ]
}

ends() { # STATUS STOPS LEAKS PROGRAM_STATUS COMMAND...
    want=$1 stops=$2 leaks=$3 program=$4
    shift 4
    try "$@"
    [ $status -eq "$want" ] && last_line "$stops" "$leaks" "$program"
    result "status $want, stops=$stops leaks=$leaks program-status=$program: $(echo "$*" | sed "s|$maker|maker|; s|$tagpool|tagpool|")"
}

refused() { # WORDS OPTION...
    words=$1
    shift
    try "$@" true
    [ $status -eq 2 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -qF -e "$words" "$work/err"
    result "refused with '$words': $*"
}

# What differs from run to run, and from compiler to compiler.
mask() {
    sed -e 's/pid [0-9]* (/pid PID (/' -e 's/"pid":[0-9]*/"pid":PID/' -e 's/"pc":"0x[0-9a-f]*"/"pc":HEX/g' \
        -e 's/"offset":"0x[0-9a-f]*"/"offset":HEX/g' -e 's/"within":[0-9]*/"within":N/g' -e 's/"line":[0-9]*/"line":N/g' \
        -e 's|"[^"]*/report_maker|"WHERE/report_maker|g' -e 's/report_maker\.c:[0-9]*/report_maker.c:N/g' \
        -e 's/,{"pc":HEX,"module":null[^}]*}//g' -e 's/,{[^}]*"function":"_start"[^}]*}//g' "$1"
}

same() { # GOLDEN COMMAND...
    file=$golden/$1
    shift
    try "$@"
    [ -z "${UPDATE_GOLDEN:-}" ] || mask "$work/err" >"$file"
    mask "$work/err" | diff -u "$file" - >"$work/diff"
    result "golden $(basename "$file")"
    [ ! -s "$work/diff" ] || sed 's/^/# /' "$work/diff"
}

wait_for() { # COMMAND...: until it succeeds, for ten seconds at most
    for _ in $(seq 200); do
        "$@" 2>/dev/null && return 0
        sleep 0.05
    done
    return 1
}

# ---- what people and programs read ----

same verify_stops.txt --verify -- "$maker" stop changed copied freed face middle newer
same verify_leaks.txt --verify -- "$maker" leaks faults end
same verify_all_leaks.txt --verify --leaks=all -- "$maker" leaks
same verify_json.txt --verify --json -- "$maker" stop leaks faults end newer
try --verify -- "$maker" stop
place=$(grep -n 'maker_add_stack(TAGPOOL_REPORT_STACK_HERE)' tests/tools/report_maker.c | cut -d: -f1)
grep -qx "    #0  conn_fill  tests/tools/report_maker.c:$place" "$work/err"
result 'the line is the line'
try --verify -- "$maker" rude
LC_ALL=C grep -q '[^ -~]' "$work/err"
[ $? -eq 1 ] && [ $status -eq 3 ]
result 'names cannot steer the terminal'
if command -v jq >/dev/null; then
    try --verify --json -- "$maker" stop changed copied freed face middle newer rude leaks faults end
    sed '$d' "$work/err" | jq -es 'length == 18' >/dev/null
    result 'JSON is valid, one object a line'
else
    skip 'JSON is valid, one object a line' 'there is no jq'
fi
if command -v strip >/dev/null; then
    strip -s "$maker" -o "$work/stripped"
    strip -d "$maker" -o "$work/symbols"
    try --verify -- "$work/stripped" stop
    grep -q '^    #0  stripped+0x[0-9a-f]*$' "$work/err"
    result 'a stripped program: offsets'
    try --verify -- "$work/symbols" stop
    grep -q '^    #0  conn_fill+0x[0-9a-f]*  *(symbols)$' "$work/err"
    result 'a program without debug information: functions'
else
    skip 'stripped programs' 'there is no strip'
fi
try --verify -- "$maker" module=/nowhere/libgone.so stop
grep -q '^    #0  libgone.so+0x[0-9a-f]*$' "$work/err"
result 'a library that is gone: offsets'
# shellcheck disable=SC2016 # the inner shell is to expand it
if command -v script >/dev/null; then
    TERM=xterm script -qec "'$tagpool' run --verify '$maker' stop" /dev/null </dev/null >"$work/err"
    grep -q "$(printf '\033')\[1m\*\*\* STOP" "$work/err"
    result 'colours on a terminal'
    TERM=xterm NO_COLOR=1 script -qec "'$tagpool' run --verify '$maker' stop" /dev/null </dev/null >"$work/err"
    ! grep -q "$(printf '\033')" "$work/err" && grep -q '^\*\*\* STOP' "$work/err"
    result 'but not with NO_COLOR'
else
    skip 'colours on a terminal' 'there is no script'
fi

# ---- statuses ----

ends 0 0 0 0 --verify -- "$maker"
ends 42 0 0 42 --verify -- "$maker" exit=42
ends 139 0 0 139 --verify -- "$maker" kill=11
ends 3 1 0 134 --verify -- "$maker" stop kill=6
ends 4 0 4 0 --verify -- "$maker" leaks
ends 3 1 4 7 --verify -- "$maker" leaks stop exit=7
ends 7 0 0 7 --verify -- "$maker" reachable exit=7
ends 99 0 4 0 --verify --error-exitcode=99 -- "$maker" leaks
ends 99 1 0 0 --verify --error-exitcode=99 -- "$maker" stop
ends 0 1 0 5 --verify --error-exitcode=0 -- "$maker" stop exit=5
ends 5 0 0 5 --verify --error-exitcode=99 -- "$maker" exit=5
ends 3 2 0 0 --verify -- "$maker" stop torn stop torn
ends 3 2 4 0 --verify -- sh -c '"$0" stop & "$0" leaks; "$0" stop; wait' "$maker"
try --verify -- no-such-program
[ $status -eq 127 ] && [ "$(wc -l <"$work/err")" -eq 1 ]
result 'no such program'
printf '#!/nowhere/sh\n' >"$work/lost" && chmod +x "$work/lost"
try --verify -- "$work/lost"
[ $status -eq 127 ]
result 'no such interpreter'
try --verify
[ $status -eq 2 ] && grep -q 'no program was named' "$work/err"
result 'no program named'

# ---- options and what the program is told ----

told() { # WORDS OPTION...
    words=$1
    shift
    # shellcheck disable=SC2016 # the inner shell is to expand it
    try "$@" -- sh -c 'printf "%s" "$TAGPOOL_VERIFY"'
    [ $status -eq 0 ] && [ "$(cat "$work/out")" = "$words" ]
    result "told '$words': $*"
}
told 'special=auto' --verify
told 'special=all track leaks=1' --verify=all
told 'exact track leaks=1 harden' --verify=leaks,harden,track,exact
told harden --harden
told 'exact harden' --harden --exact
told 'special=sample:1000' --special-pool=sample:1/1000 --verify
told 'special=all' --special-pool=all --verify
told 'special=auto tags=A,B*,C?,D' --verify --tags=A,B* --tags=C?,D
told 'special=auto sizes=10-200' --verify --sizes=10-200
told 'special=auto sizes=0-0' --verify --sizes=0
told 'special=auto ends=mixed exact track=stacks leaks=1 harden quarantine=65536 guard=madvise' --verify --exact --track \
    --harden --leaks --ends=mixed --quarantine=65536 --guard=madvise
told 'special=auto fail=probability:600,tag:Conn fail=nth:3,site:lib*' --verify --fail=probability:600,tag:Conn \
    --fail=nth:3,site:lib*
told 'special=auto fail=after:90000,probability:600' --verify --fail=after:90s
told 'special=auto fail=after:120000,probability:10000' --verify --fail=after:2m,probability:10000
# shellcheck disable=SC2016
try --verify --tags=site --tags=Conn -- sh -c 'echo "$TAGPOOL_TAGS $TAGPOOL_VERIFY"'
[ "$(cat "$work/out")" = 'site special=auto tags=Conn' ]
result 'the two meanings of --tags'
refused '--verify=most is not known' --verify=most
refused '--verify= is not known' --verify=
refused '--special-pool=some is not known' --verify --special-pool=some
refused 'is no fraction' --verify --special-pool=sample:1/0
refused 'is no list of tags' --verify --tags=A,,B
refused 'is no list of tags' --verify '--tags=A B'
refused 'is no list of tags' --verify '--tags=A*B'
refused '--tags=Conn is not known' --tags=Conn
refused 'is no range' --verify --sizes=200-100
refused 'is no range' --verify --sizes=99999999999999999999
refused '--ends=top is not known' --verify --ends=top
refused '--guard=dog is not known' --verify --guard=dog
refused 'is no number of blocks' --verify --quarantine=-1
refused '--fail= is not known' --verify --fail=
refused '--fail=probability:10001 is not known' --verify --fail=probability:10001
refused '--fail=nth:0 is not known' --verify --fail=nth:0
refused '--fail=after:3h is not known' --verify --fail=after:3h
refused '--fail=tag:A B is not known' --verify '--fail=tag:A B'
refused 'is no status' --verify --error-exitcode=256
refused '--leaks=few is not known' --verify --leaks=few
refused 'takes no value' --verify --exact=1
refused '--json is about the verifier' --json
refused '--leaks is about the verifier' --leaks
ln -s "$tagpool" "$work/verifier"
"$work/verifier" run --verify "$maker" stop >"$work/out" 2>"$work/err"
[ $? -eq 3 ] && last_line 1 0 0
result 'by the name of verifier'
"$work/verifier" >"$work/out" 2>"$work/err"
[ $? -eq 1 ] && grep -q '^verifier: ' "$work/err"
result 'verifier without a command'

# ---- two runs ----

# shellcheck disable=SC2016
ends 3 2 0 0 --verify --ends=both -- "$maker" stop
printf 'some\ntext\n' >"$work/input"
# shellcheck disable=SC2016
"$tagpool" run --verify --ends=both sh -c 'cat; echo "$TAGPOOL_VERIFY"' <"$work/input" >"$work/out" 2>"$work/err"
[ "$(cat "$work/out")" = "some
text
special=auto ends=over
some
text
special=auto ends=under" ]
result 'both runs read the same input'
# shellcheck disable=SC2002
cat "$work/input" | "$tagpool" run --verify --ends=both cat >"$work/out" 2>"$work/err"
[ $? -eq 0 ] && cmp -s "$work/input" "$work/out" && grep -q 'cannot be read twice' "$work/err" && last_line 0 0 0
result 'a pipe cannot be read twice'
ends 143 0 0 143 --verify --ends=both -- "$maker" kill=15

# ---- signals ----

# A shell's background jobs ignore SIGINT and SIGQUIT; a terminal's do not.
start() { # PROGRAM...: in a session and process group of its own, as $pid
    : >"$work/out" # in the background it may be too late
    : >"$work/err"
    env --default-signal=INT,QUIT setsid "$tagpool" run --verify "$@" >"$work/out" 2>"$work/err" </dev/null &
    pid=$!
}

finish() { # STATUS
    (sleep 20; kill -KILL "$pid") >/dev/null 2>&1 &
    watchdog=$!
    wait "$pid"
    got=$?
    kill "$watchdog" 2>/dev/null
    pid=
    [ $got -eq "$1" ]
}

ready() {
    grep -q ready "$work/out"
}

start sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done'
wait_for ready
kill -TERM "$pid"
finish 9 && last_line 0 0 9
result 'SIGTERM is passed on'
start sh -c 'trap "exit 8" HUP; echo ready; while :; do sleep 0.05; done'
wait_for ready
kill -HUP "$pid"
finish 8 && last_line 0 0 8
result 'SIGHUP is passed on'
start sh -c 'trap "" TERM; echo ready; sleep 0.7; exit 5'
wait_for ready
kill -TERM "$pid"
finish 5 && last_line 0 0 5
result 'a program that ignores SIGTERM is waited for'
start sh -c 'trap "exit 6" INT; echo ready; while :; do sleep 0.05; done'
wait_for ready
kill -s INT -- "-$pid"
finish 6 && last_line 0 0 6
result 'Ctrl-C: the program handles it'
start sh -c 'echo ready; exec sleep 15'
wait_for ready
kill -s INT -- "-$pid"
finish 130 && last_line 0 0 130
result 'Ctrl-C: the program dies of it, and the sum is told'
start sh -c 'echo $$ ready; sleep 0.3; exit 4'
wait_for ready
child=$(cut -d' ' -f1 "$work/out")
kill -STOP "$child"
sleep 0.5
kill -0 "$pid" && kill -CONT "$child" && finish 4
result 'a stopped program is waited for'
start sh -c 'echo ready; exec sleep 15'
wait_for ready
kill -s TSTP -- "-$pid"
sleep 0.3
kill -s CONT -- "-$pid"
kill -s TERM "$pid"
finish 143
result 'Ctrl-Z and on again'
start sh -c 'echo ready; "$0" stop; exec sleep 15' "$maker"
wait_for grep -q '^\*\*\* STOP' "$work/err"
kill -0 "$pid" 2>/dev/null && kill -TERM "$pid"
finish 3 && last_line 1 0 143
result 'reports come while the program runs'
# shellcheck disable=SC2016
sh -c 'trap "" INT; exec "$0" run --verify sh -c "kill -INT \$\$; exit 3"' "$tagpool" 2>"$work/err"
[ $? -eq 3 ] && last_line 0 0 3
result 'a signal that was ignored stays so for the program'
sh -c 'exec "$0" run --verify "$1" kill=2' "$tagpool" "$maker" 2>"$work/err"
[ $? -eq 130 ]
result 'one that was not is not'
if env --ignore-signal=CHLD true 2>/dev/null; then
    env --ignore-signal=CHLD "$tagpool" run --verify "$maker" exit=6 2>"$work/err"
    [ $? -eq 6 ]
    result 'the status is had although SIGCHLD was ignored'
else
    skip 'SIGCHLD ignored' 'env cannot do that'
fi
# shellcheck disable=SC2016
try --verify -- sh -c 'cut -d" " -f5,6,8 /proc/$$/stat; cut -d" " -f5,6,8 /proc/$PPID/stat; cut -d" " -f5,6,8 /proc/$1/stat' sh $$
[ "$(sort -u "$work/out" | wc -l)" -eq 1 ] && [ -s "$work/out" ]
result 'process group, session and terminal are ours'

# ---- files and descriptors ----

# shellcheck disable=SC2016
try --verify -- sh -c 'stat -c "%a %s" "$TAGPOOL_REPORT"; ls -l /proc/self/fd | grep -c report'
[ "$(cat "$work/out")" = "600 0
0" ]
result 'the file of reports is ours alone, and nobody inherits it'
# shellcheck disable=SC2016
sh -c ': >"/dev/shm/tagpool-report.$(id -u).$$"; echo $$ >"$2"; exec "$0" run --verify sh -c "echo \$TAGPOOL_REPORT; $1 stop"' \
    "$tagpool" "$maker" "$work/pid" >"$work/out" 2>"$work/err"
status=$?
stale=/dev/shm/tagpool-report.$(id -u).$(cat "$work/pid")
[ $status -eq 3 ] && [ "$(cat "$work/out")" = "$stale.1" ] && [ -f "$stale" ] && [ ! -e "$stale.1" ]
result 'a name that is taken'
rm -f "$stale"
# shellcheck disable=SC2016
try --verify -- sh -c 'exec "$0" run --verify -- sh -c "\"\$0\" stop; exit 2" "$1"' "$tagpool" "$maker"
[ $status -eq 3 ] && last_line 0 0 3 && [ "$(grep -c '^tagpool: stops=' "$work/err")" -eq 2 ] &&
    grep -qx 'tagpool: stops=1 leaks=0 program-status=2' "$work/err"
result 'one in another: the inner one is told'
"$tagpool" run --verify "$maker" stop >/dev/null 2>&-
[ $? -eq 3 ]
result 'stderr closed'
# shellcheck disable=SC2016
"$tagpool" run --verify sh -c '[ ! -e /proc/$$/fd/0 ] && [ ! -e /proc/$$/fd/1 ]' >&- <&- 2>"$work/err" && last_line 0 0 0
result 'stdin and stdout closed, and closed for the program'
"$tagpool" run --verify "$maker" stop 2>/dev/full
[ $? -eq 3 ]
result 'stderr full'
{
    "$tagpool" run --verify sh -c 'sleep 0.3; "$0" stop leaks stop; exit 2' "$maker" 2>&1 >/dev/null
    echo $? >"$work/status"
} | true
[ "$(cat "$work/status")" -eq 3 ]
result 'nobody reads stderr'
# shellcheck disable=SC2016
try --verify -- sh -c 'head -c 100000 /dev/zero >>"$TAGPOOL_REPORT"; "$0" stop; rm "$TAGPOOL_REPORT"' "$maker"
[ $status -eq 3 ] && last_line 1 0 0
result 'rubbish in the file of reports, which is then removed'
# shellcheck disable=SC2016
start sh -c 'echo "$TAGPOOL_REPORT" ready; exec sleep 15'
wait_for ready
file=$(cut -d' ' -f1 "$work/out")
[ -f "$file" ] && kill -TERM "$pid" && finish 143 && [ ! -e "$file" ]
result 'no file is left behind'

echo "1..$number"
[ $failures -eq 0 ] || echo "# $failures of $number failed"
[ $failures -eq 0 ]
