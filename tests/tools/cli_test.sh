#!/bin/sh
# The command line against synthetic segments: golden outputs and every error that a user can make.
#
#   cli_test.sh TAGPOOL SEGMENT_MAKER GOLDEN_DIRECTORY
#
# With UPDATE_GOLDEN=1 the golden files are written anew, to be looked at before they are kept.
set -u
tagpool=$(realpath "$1")
maker=$(realpath "$2")
golden=$(realpath "$3")
work=$(mktemp -d) || exit 1
# In /dev/shm where there is one: it is a tmpfs, as in real life.
segments=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
failures=0
number=0
pid=
trap 'kill $pid 2>/dev/null; rm -rf "$work" "$segments"' EXIT
trap 'exit 1' INT TERM

ln -s "$tagpool" "$work/poolmon"
poolmon=$work/poolmon
libc=$(ldd "$tagpool" | awk '/libc\.so\.6/ { print $3 }')
TAGPOOL_SEGMENT_DIR=$segments
TAGPOOL_PRELOAD=$libc
export TAGPOOL_SEGMENT_DIR TAGPOOL_PRELOAD LC_ALL=C
# Under AddressSanitizer: it is meant that another library is preloaded.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
unset LD_PRELOAD TAGPOOL_TAGS TAGPOOL_THROUGH
result() { # WHAT, ok when $? is 0
    if [ $? -eq 0 ]; then verdict=ok; else verdict='not ok' failures=$((failures + 1)); fi
    number=$((number + 1))
    echo "$verdict $number - $1"
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

no_segment() {
    [ -z "$pid" ] || kill "$pid" && wait "$pid" 2>/dev/null
    rm -f "$segments"/*
    pid=
}

segment() { # SCENARIO [MAKER OPTIONS]: the only segment from now on, that of process $pid
    no_segment
    scenario=$1
    shift
    : >"$work/made"
    "$maker" --program=sleep "$@" "$segments" "$scenario" >"$work/made" &
    pid=$!
    until [ -s "$work/made" ]; do sleep 0.01; done
}

# Run a command; its output lies in $work/out and $work/err, its status in $status.
try() {
    "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

says() { # STATUS WORDS COMMAND...: one sentence on stderr, nothing on stdout
    expected=$1 words=$2
    shift 2
    try "$@"
    [ $status -eq "$expected" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
        grep -qF -e "$words" "$work/err"
    result "status $expected and '$words': $(echo "$*" | sed "s|$tagpool|tagpool|; s|$poolmon|poolmon|; s|$work|WORK|g")" ||
        true
    [ $status -eq "$expected" ] || { echo "# status $status"; sed 's/^/# /' "$work/err"; }
}

# What differs from run to run: PID, RSS, the machine's memory.
mask() {
    sed -e "s/\b$pid\b/PID/g" -e 's/RSS [0-9.KMG]*/RSS N/' -e 's/files) [0-9.KMG]*/files) N/' \
        -e 's/untouched [0-9.KMG]*/untouched N/' -e 's/"rss":[0-9]*/"rss":N/' -e 's/^PID,sleep,[0-9]*/PID,sleep,N/' \
        -e 's/^ Memory:.*K Avail:.*K  PageFlts:.* InRam Krnl:.*K P: *\([0-9]*K\)$/ Memory: P:\1/' \
        -e 's/^ Commit:.*K Limit:.*K Peak:.*K  *Pool N:/ Commit: Pool N:/' "$1"
}

same() { # GOLDEN COMMAND...
    file=$golden/$1
    shift
    try "$@"
    [ -z "${UPDATE_GOLDEN:-}" ] || mask "$work/out" >"$file"
    mask "$work/out" | diff -u "$file" - >"$work/diff" && [ $status -eq 0 ]
    result "golden $(basename "$file")"
    [ ! -s "$work/diff" ] || sed 's/^/# /' "$work/diff"
}

# ---- golden outputs ----

segment sample
same default.txt "$tagpool" top --once
same totals.txt "$tagpool" top --once --totals --sort=a
same classic.txt "$tagpool" top --once --classic
same json.txt "$tagpool" top --json
says 1 'cannot write the output' sh -c '"$0" top --once >&-' "$tagpool"
same csv.txt "$tagpool" top --csv -p "$pid"
same poolmon.txt "$poolmon" --once /b /xsh '-iC*' /isqli
same poolmon_nonpaged.txt "$poolmon" --once /p -e
same default.txt "$tagpool" top --once -p "$pid"
(cd "$work" && exec "$poolmon" /n)
mask "$work/poolsnap.log" >"$work/snap"
[ -z "${UPDATE_GOLDEN:-}" ] || cp "$work/snap" "$golden/poolsnap.txt"
diff -u "$golden/poolsnap.txt" "$work/snap"
result 'golden poolsnap.txt, in the default file'
"$poolmon" -n "$work/other.log" && mask "$work/other.log" | diff -u "$golden/poolsnap.txt" -
result 'poolmon -n FILE'

segment incomplete
same incomplete.txt "$tagpool" top --once
"$tagpool" top --json 2>&1 >/dev/null | grep -qF 'no room in /dev/shm'
result 'JSON: warnings on stderr'
segment moving
"$tagpool" top --once | grep -qF '[2 tags changed too fast'
result 'tags that moved are said'
segment rude
"$tagpool" top --once | LC_ALL=C grep -q '[^ -~]'
[ $? -eq 1 ]
result 'names cannot steer the terminal'
if command -v jq >/dev/null; then
    "$tagpool" top --json | jq -e '.[0].pools | length == 5' >/dev/null
    result 'JSON with rude names is valid'
else
    skip 'JSON with rude names is valid' 'there is no jq'
fi
segment greedy
"$tagpool" top --once | grep -q libsqlite3
result 'counts beyond the tables are cut'
segment empty
"$tagpool" top --once |
    grep -q "^sleep ($pid)  RSS \([^ ]*\) = tagged 0 + allocator 0 + not ours (mmap, stacks, files) \1\$"
result 'a process without blocks: all of its memory is not ours'

# ---- repeated text ----

segment sample
try "$tagpool" top -n 2 -d 0.1
[ $status -eq 0 ] && [ "$(grep -c '^NAME' "$work/out")" -eq 2 ] && grep -q ' 0  *2699  *0 ' "$work/out"
result 'no terminal: snapshots as text, the second with rates'
"$tagpool" top -d 0.1 2>/dev/null | head -1 | grep -q RSS
result 'it ends with its reader'
"$tagpool" top --once >/dev/full 2>"$work/err"
[ $? -eq 1 ] && grep -q 'No space left' "$work/err"
result 'full disk: status 1'
"$poolmon" /n /dev/full 2>"$work/err"
[ $? -eq 1 ]
result 'full disk, snapshot file: status 1'
"$tagpool" --help >/dev/full 2>/dev/null
[ $? -eq 1 ]
result 'full disk, help: status 1'

# ---- nothing to show ----

for scenario in no-magic newer far-slots many-rows; do
    segment $scenario
    says 1 "the accounts of process $pid cannot be read" "$tagpool" top --once -p "$pid"
done
says 1 'no process can be shown, and the accounts' "$tagpool" top --once
segment sample --cut=8192
says 1 'it is damaged' "$tagpool" top --once -p "$pid"
no_segment
says 1 'no process of yours' "$tagpool" top --once
says 1 'does not run under tagpool' "$tagpool" top -p $$
printf '#!/nosuch/interpreter\n' >"$work/script"
chmod +x "$work/script"
says 127 "It is the interpreter of $work/script" "$tagpool" run "$work/script"
says 1 'there is no process 2147483000' "$tagpool" top --json -p 2147483000
try "$tagpool" top --json
[ $status -eq 0 ] && [ "$(cat "$work/out")" = '[]' ]
result 'JSON of nothing is []'
TAGPOOL_SEGMENT_DIR=/nowhere says 1 '/nowhere' "$tagpool" top --once
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    # /tmp/... may be closed to others, so another user gets a directory and a program of his own.
    chmod 755 "$work" && cp "$tagpool" "$work/copy" && chmod 755 "$work/copy"
    segment sample
    chmod 755 "$segments"
    says 1 'is not yours' setpriv --reuid=12345 --clear-groups "$work/copy" top -p "$pid"
    no_segment
else
    skip 'a process of another user' 'only root can become another user'
fi

# ---- wrong arguments ----

says 2 'no command' "$tagpool"
says 2 "no command 'nonsense'" "$tagpool" nonsense
says 2 'no option --nonsense' "$tagpool" top --nonsense
says 2 'no option -z' "$tagpool" top -z
says 2 'no option -e: say --verify with two dashes' "$tagpool" run --json -verify true
says 2 'no option -t: say --tags=Conn with two dashes' "$tagpool" run -tags=Conn true
says 2 'no option -x: try' "$tagpool" run --json -vx true
says 2 'needs a value' "$tagpool" top -p
says 2 'takes no value' "$tagpool" top --once=1
says 2 'no process ID' "$tagpool" top -p 12x
says 2 'no process ID' "$tagpool" top -p -5
says 2 'no number of seconds' "$tagpool" top -d 0
says 2 'no number of seconds' "$tagpool" top -d nan
says 2 'no number of snapshots' "$tagpool" top -n 0
says 2 'not known' "$tagpool" top --sort=q
says 2 'takes no argument' "$tagpool" top 1234
says 2 'no process was named' "$tagpool" leaks
says 2 'no process ID' "$tagpool" leaks -p sleep
says 2 'takes no argument' "$tagpool" leaks -p 1 2
says 2 'no option of poolmon' "$poolmon" /tmp
says 2 'no option of poolmon' "$poolmon" 5
says 2 'needs a tag' "$poolmon" /i
says 2 'needs a tag' "$poolmon" '/x*'
says 2 'no meaning here yet' "$poolmon" /g
says 2 'no meaning here yet' "$poolmon" /c file
says 2 'no meaning here yet' "$poolmon" /s1
says 2 'no option --nonsense' "$poolmon" --nonsense

for command in "$tagpool --help" "$tagpool -h" "$tagpool --version" "$tagpool run --help" "$tagpool run -h" \
    "$tagpool env --help" "$tagpool set --help" "$tagpool top --help" "$poolmon /?" "$poolmon -h" "$poolmon /h" "$poolmon --help"; do
    # shellcheck disable=SC2086 # it is meant to be split
    try $command
    [ $status -eq 0 ] && [ -s "$work/out" ] && [ ! -s "$work/err" ]
    result "help: ${command##*/}"
done

# ---- run and env ----

printed() { # EXPECTED COMMAND...
    expected=$1
    shift
    try "$@"
    [ "$(cat "$work/out")" = "$expected" ] && [ $status -eq 0 ]
    result "prints what it should: $(echo "$*" | sed "s|$tagpool|tagpool|")"
}
real=$(realpath "$libc")
printed "LD_PRELOAD=$real" "$tagpool" env
printed "LD_PRELOAD=$real
TAGPOOL_TAGS=site
TAGPOOL_THROUGH=liba.so,libb.so.1,libc.so" "$tagpool" env --tags=site --through=liba.so,libb.so.1 --through libc.so
printed "export LD_PRELOAD='$real'
unset TAGPOOL_TAGS" "$tagpool" env --tags=module --export
verified=$real:$(dirname "$real")/libtagpool-verify.so
printed "LD_PRELOAD=$verified
TAGPOOL_VERIFY=special=auto" "$tagpool" env --verify
printed "export LD_PRELOAD='$verified'
export TAGPOOL_TAGS='site'
export TAGPOOL_VERIFY='special=all tags=Conn,Req? ends=under track leaks=1'" \
    "$tagpool" env --export --tags=site --verify=all --ends=under --tags=Conn,Req?
says 2 '--exact is about the verifier' "$tagpool" env --exact
says 2 '--ends=both is two runs' "$tagpool" env --verify --ends=both
says 2 'there is no option --systematic' "$tagpool" env --systematic
LD_PRELOAD="$libc" printed "LD_PRELOAD=$real:$libc" "$tagpool" env
LD_PRELOAD="$real $libc" printed "LD_PRELOAD=$real:$libc" "$tagpool" env
# shellcheck disable=SC2016 # the inner shell is to expand it
printed "$real" "$tagpool" run sh -c 'echo "$LD_PRELOAD"'
# shellcheck disable=SC2016
printed "site liba.so --json -p" "$tagpool" run --tags=site --through=liba.so -- sh -c \
    'echo "$TAGPOOL_TAGS" "$TAGPOOL_THROUGH" "$@"' sh --json -p
"$tagpool" run sh -c 'exit 42'
[ $? -eq 42 ]
result 'run has the status of its program'
"$tagpool" run sh -c 'kill -TERM $$'
[ $? -eq 143 ]
result 'run dies by the signal of its program'

echo 'echo no first line' >"$work/script"
chmod +x "$work/script"
cp "$work/script" "$work/data" && chmod -x "$work/data"
printf '#!/nowhere/sh\n' >"$work/lost" && chmod +x "$work/lost"
says 2 'no program was named' "$tagpool" run
says 2 '--tags=colour is not known' "$tagpool" run --tags=colour true
says 2 'names more than 28 libraries' "$tagpool" run "--through=$(seq -s, 40)" true
says 2 'no list of libraries' "$tagpool" run '--through=a b' true
says 2 'takes no argument' "$tagpool" env true
says 127 'no program no-such-program' "$tagpool" run no-such-program
says 127 'No such file' "$tagpool" run "$work/nothing"
says 127 '/nowhere/sh' "$tagpool" run "$work/lost"
says 126 'begins with #!' "$tagpool" run "$work/script"
says 126 'not executable' "$tagpool" run "$work/data"
says 126 'no file' "$tagpool" run "$work"
TAGPOOL_PRELOAD=/nowhere says 125 'TAGPOOL_PRELOAD names /nowhere' "$tagpool" run true
mkdir "$work/a b" && cp "$libc" "$work/a b/" &&
    TAGPOOL_PRELOAD="$work/a b/${libc##*/}" says 125 'has a blank or a colon' "$tagpool" env
mkdir -p "$work/empty/bin" && cp "$tagpool" "$work/empty/bin/"
TAGPOOL_PRELOAD='' says 125 'cannot find libtagpool-preload.so' "$work/empty/bin/tagpool" run true

# ---- time ----

segment rows --rows=1000000
best=1000000
for _ in 1 2 3 4 5 6; do
    before=$(date +%s%N)
    "$tagpool" top --once >/dev/null
    took=$((($(date +%s%N) - before) / 1000))
    [ $took -ge $best ] || best=$took
done
[ $best -le 50000 ]
result "a million rows in at most 50 ms: $best us"

# ---- containers ----

unset TAGPOOL_SEGMENT_DIR
no_segment
cat >"$work/container" <<'END'
mount -t tmpfs tmpfs /dev/shm && exec "$1" --program=inner /dev/shm sample
END
if unshare -p -m -f true 2>/dev/null; then
    unshare -p -m -f --mount-proc --kill-child sh "$work/container" "$maker" >"$work/ready" 2>/dev/null &
    container=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        grep -q tagpool "$work/ready" 2>/dev/null && break
        sleep 0.2
    done
    outer=$(cat "/proc/$container/task/$container/children" 2>/dev/null)
    outer=${outer% }
    "$tagpool" top --json -p "${outer:-1}" | grep -q "\"pid\":$outer,\"program\":\"inner\""
    result 'a process in a container is found, with its PID out here'
    "$tagpool" top --json | grep -q "\"pid\":$outer,\"program\":\"inner\""
    result 'and among all others'
    kill -KILL "$outer"
    wait $container 2>/dev/null
else
    skip 'a process in a container' 'no right to make namespaces'
fi

echo "1..$number"
[ $failures -eq 0 ] || echo "# $failures of $number failed"
[ $failures -eq 0 ]
