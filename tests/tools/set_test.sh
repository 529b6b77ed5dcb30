#!/bin/sh
# `tagpool set`, `gflags` and `verifier` with programs that run, with settings that are kept, and against every mistake.
#
#   set_test.sh TAGPOOL SET_TARGET GOLDEN_DIRECTORY
#
# With UPDATE_GOLDEN=1 the golden files are written anew, to be looked at before they are kept.
#
# Some commands are for all programs of a user: it needs namespaces of its own to see none but those of the test.
set -u
if [ -z "${SET_TEST_ALONE:-}" ]; then
    SET_TEST_ALONE=no
    unshare -p -m -f --mount-proc true 2>/dev/null && SET_TEST_ALONE=yes
    export SET_TEST_ALONE
    [ "$SET_TEST_ALONE" = no ] || exec unshare -p -m -f --mount-proc --kill-child sh "$0" "$@"
fi
if [ "$SET_TEST_ALONE" = yes ]; then
    mount -t tmpfs tmpfs /dev/shm || exit 1
fi
tagpool=$(realpath "$1")
target=$(realpath "$2")
golden=$(realpath "$3")
work=$(mktemp -d) || exit 1
failures=0
number=0
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# The interpreter itself, not a script that stands for it, by a name that nobody else has.
name=set_target_$$
python=$work/$name
ln -s "$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')" "$python"
for link in gflags verifier; do ln -s "$tagpool" "$work/$link"; done
gflags=$work/gflags verifier=$work/verifier
XDG_CONFIG_HOME=$work/config
kept=$XDG_CONFIG_HOME/tagpool/settings
export XDG_CONFIG_HOME LC_ALL=C
unset LD_PRELOAD TAGPOOL_VERIFY TAGPOOL_REPORT TAGPOOL_TAGS TAGPOOL_PRELOAD TAGPOOL_SEGMENT_DIR

result() { # WHAT, ok when $? is 0
    if [ $? -eq 0 ]; then verdict=ok; else verdict='not ok' failures=$((failures + 1)); fi
    number=$((number + 1))
    echo "$verdict $number - $1"
    [ "$verdict" = ok ] || sed 's/^/# /' "$work/out" "$work/err"
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

try() {
    "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

short() {
    echo "$*" | sed "s|$work/||g; s|$tagpool|tagpool|g; s|-p $pid|-p PID|"
}

says() { # STATUS WORDS COMMAND...: one sentence on stderr, nothing on stdout
    expected=$1 words=$2
    shift 2
    try "$@"
    [ $status -eq "$expected" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
        grep -qF -e "$words" "$work/err"
    result "status $expected and '$words': $(short "$@")"
}

does() { # WORDS COMMAND...: status 0, and a line with these words on stdout
    words=$1
    shift
    try "$@"
    [ $status -eq 0 ] && grep -qF -e "$words" "$work/out"
    result "'$words': $(short "$@")"
}

# ---- programs that run ----

end() {
    exec 7>&-
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
    [ -z "$pid" ] || wait "$pid" 2>/dev/null
    pid=
}

start() { # HOW [OPTIONS OF RUN]: process $pid, which answers in $work/answers
    end
    how=$1
    shift
    rm -f "$work/orders" && mkfifo "$work/orders"
    : >"$work/answers"
    "$tagpool" run "$@" -- "$python" "$target" "$how" <"$work/orders" >"$work/answers" 2>"$work/complaints" &
    pid=$!
    exec 7>"$work/orders"
    [ "$how" = ask ] || until [ -s "$work/answers" ]; do sleep 0.01; done
}

ask() { # WORD COUNT: the answer
    before=$(wc -l <"$work/answers")
    echo "$1 $2" >&7
    until [ "$(wc -l <"$work/answers")" -gt "$before" ] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
    tail -n 1 "$work/answers"
}

start ask
[ "$(ask try 1000)" = 0 ]
result 'at first nothing fails'
does ': 0 rules' "$tagpool" set -p "$pid"
does 'not read yet: the program has not allocated since' "$tagpool" set -p "$pid" +fail 'libffi*=probability:1000'
failed=$(ask try 1000)
[ "$failed" -gt 30 ] && [ "$failed" -lt 250 ]
result "faults from outside: 1000 of 10000, $failed of 1000"
does 'faults: 1000 in 10000' "$tagpool" set -p "$pid"
does '"what":["fail"],"size_min":0,"size_max":0,"probability":1000' "$tagpool" set -p "$pid" --json
try "$tagpool" set -p "$pid" -fail +fail 'libffi*=nth:5'
[ "$(ask try 10)" = 1 ] && [ "$(ask try 10)" = 0 ]
result 'the fifth request fails'
try "$tagpool" set -p "$pid" +track zzz
[ "$(ask try 10)" = 0 ]
result 'a rule goes on counting when others change'
try "$tagpool" set -p "$pid" -fail -track +limit 'libffi*=64K'
[ "$(ask hold 1000)" = 64 ]
result 'a limit from outside, to the byte'
does 'limit 64K, ' "$tagpool" set -p "$pid"
does '"name":"libffi' "$tagpool" set -p "$pid" --json
try "$tagpool" set -p "$pid" -limit 'libffi*'
[ "$(ask hold 1000)" = 1000 ]
result 'and no limit any more'
try "$tagpool" set -p "$pid" +limit paged=1G,soft:900M
[ "$(ask try 1)" = 0 ] && "$tagpool" set -p "$pid" | grep -q '^  paged  *limit 1.0G soft 900M, 0 refused (pool)$'
result 'a limit of a pool'
try "$tagpool" set -p "$pid" +spp 'libffi*'
ask over 1 >/dev/null
wait "$pid"
[ $? -eq 134 ] && grep -q PAGE_FAULT_BEYOND_END_OF_ALLOCATION "$work/complaints"
result 'special pool from outside stops a write behind a block'
[ "$(wc -l <"$work/complaints")" -eq 2 ] && tail -n 1 "$work/complaints" |
    grep -q '^Memory outside a block was used: pointer 0x[0-9A-F]*, tag .*, page 0x[0-9A-F]*\.$'
result 'in two lines, with the tag: nobody listens'
says 1 "there is no process $pid" "$tagpool" set -p "$pid" +spp Conn

start loop
switched=0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    "$tagpool" set -p "$pid" +spp '*' -track >"$work/out" 2>"$work/err"
    grep -q ': in force' "$work/out" && switched=$((switched + 1))
    "$tagpool" set -p "$pid" -spp +track >"$work/out" 2>"$work/err"
    grep -q ': in force' "$work/out" && switched=$((switched + 1))
    "$tagpool" set -p "$pid" +spp 100-200 +watch 'lib*' +spp 0x30 >"$work/out" 2>"$work/err"
    grep -q ': in force' "$work/out" && switched=$((switched + 1))
    "$tagpool" set -p "$pid" -spp -watch >"$work/out" 2>"$work/err"
    grep -q ': in force' "$work/out" && switched=$((switched + 1))
done
[ $switched -eq 100 ] && kill -0 "$pid"
result "a loop takes 100 switches, $switched are in force, and it goes on"
"$tagpool" set -p "$pid" -track >/dev/null
does ': 0 rules' "$tagpool" set -p "$pid"
"$tagpool" set -p "$pid" +spp '*' >/dev/null
alone() { # WHAT: false where other programs could be seen, or touched
    [ "$SET_TEST_ALONE" = yes ] && return
    skip "$1" 'no right to make namespaces'
    false
}
special() { "$verifier" /query | sed -n 's/^AllocationsSucceededSpecialPool: //p'; }
if alone 'counters'; then
    first=$(special) && sleep 0.3 && second=$(special)
    [ "$second" -gt "$first" ]
    result "special pool serves: $first, then $second"
    does "Name: $name, loads: 1, unloads: 0" "$verifier" /query
    [ "$(sed -n 's/^AllocationsAttempted: //p' "$work/out")" -gt 0 ] &&
        [ "$(sed -n 's/^CurrentPagedPoolAllocations: //p' "$work/out")" -le \
            "$(sed -n 's/^PeakPagedPoolAllocations: //p' "$work/out")" ]
    result 'what lives now is at most the peak'
    "$tagpool" set -p "$pid" -spp >/dev/null
    "$tagpool" set -p "$pid" +track nothing >/dev/null
    first=$(special) && sleep 0.3 && second=$(special)
    [ "$second" = "$first" ]
    result 'and serves no more'
fi
"$tagpool" set -p "$pid" -spp >/dev/null 2>&1

# Two tools at once: nothing of either is lost.
"$tagpool" set -p "$pid" -track >/dev/null 2>&1
adders=
for i in 1 2 3 4 5 6 7 8; do
    "$tagpool" set -p "$pid" +track "tag$i" >/dev/null 2>"$work/err$i" &
    adders="$adders $!"
done
# shellcheck disable=SC2086 # a list
wait $adders
does ': 8 rules' "$tagpool" set -p "$pid"
for i in 1 2 3 4 5 6 7 8; do "$tagpool" set -p "$pid" +watch "more$i"; done >/dev/null
says 1 'no more are possible' "$tagpool" set -p "$pid" +spp Conn
does ': 16 rules' "$tagpool" set -p "$pid"
does 'in force' "$tagpool" set -p "$name" -track -watch
does "$name ($pid): 0 rules" "$tagpool" set -p "$name" -p "$pid"
says 1 'has no spp for Conn' "$tagpool" set -p "$pid" -spp Conn
says 1 'has no tag Nope yet' "$tagpool" set -p "$pid" +limit Nope=1M
try "$tagpool" set -p "$pid" +spp Conn +limit Nope=1M
does ': 0 rules' "$tagpool" set -p "$pid"

# ---- who may be switched ----

says 1 'does not run under tagpool' "$tagpool" set -p $$ +spp Conn
says 1 'there is no process 2147483000' "$tagpool" set -p 2147483000
says 1 'has the name nosuch' "$tagpool" set -p nosuch +spp Conn
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$work" && cp "$tagpool" "$work/copy" && chmod 755 "$work/copy"
    says 1 'is not yours' setpriv --reuid=12345 --clear-groups "$work/copy" set -p "$pid" +spp Conn
    says 1 'has the name' setpriv --reuid=12345 --clear-groups "$work/copy" set -p "$name" +spp Conn
else
    skip 'a process of another user' 'only root can become another user'
    skip 'its name' 'only root can become another user'
fi

# ---- wrong arguments ----

says 2 'no process was named' "$tagpool" set +spp Conn
says 2 'needs a value' "$tagpool" set -p
says 2 'needs a PID' "$tagpool" set -p ''
says 2 'there is no setting +nonsense' "$tagpool" set -p "$pid" +nonsense Conn
says 2 'no option -n' "$tagpool" set -p "$pid" -nonsense Conn
says 2 'belongs to no setting' "$tagpool" set -p "$pid" spp
says 2 '+spp needs something behind it' "$tagpool" set -p "$pid" +spp
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp 'a b'
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp 'a*b'
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp a,b
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp 0x31
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp 0x10
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp 200-100
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp 0-0
says 2 'is no tag and no size' "$tagpool" set -p "$pid" +spp "$(printf '%048d' 0)"
says 2 'parts +spp from its tag' "$tagpool" set -p "$pid" +spp=Conn
says 2 '+track=colour is not known' "$tagpool" set -p "$pid" +track=colour
says 2 '-track=full is not known' "$tagpool" set -p "$pid" -track=full
says 2 'says no faults' "$tagpool" set -p "$pid" +fail Conn=
says 2 'says no faults' "$tagpool" set -p "$pid" +fail Conn=probability:10001
says 2 'says no faults' "$tagpool" set -p "$pid" +fail Conn=nth:0
says 2 'says no faults' "$tagpool" set -p "$pid" +fail Conn=after:10h
says 2 'says no faults' "$tagpool" set -p "$pid" +fail Conn=tag:x
says 2 '-fail takes a tag alone' "$tagpool" set -p "$pid" -fail Conn=nth:1
says 2 'says no limit' "$tagpool" set -p "$pid" +limit Conn
says 2 'says no limit' "$tagpool" set -p "$pid" +limit Conn=0
says 2 'says no limit' "$tagpool" set -p "$pid" +limit Conn=1M,soft:2M
says 2 'says no limit' "$tagpool" set -p "$pid" +limit Conn=64X
says 2 'says no limit' "$tagpool" set -p "$pid" +limit Conn=99999999T
says 2 'is no tag' "$tagpool" set -p "$pid" +limit =1M

# ---- golden sessions ----

session() { # GOLDEN: commands on stdin, a line each; what they print, and their status where it is not 0
    while read -r line; do
        echo "\$ $line"
        (set -f && cd "$work" && eval "PATH=$work:\$PATH $(echo "$line" | sed "s/PROGRAM_NAME/$name/")") 2>&1 </dev/null
        status=$?
        [ $status -eq 0 ] || echo "[$status]"
    done | sed -e "s|$work|WORK|g" -e "s/ (${pid:-none})/ (PID)/g" -e "s/\b$name\b/PROGRAM/g" \
        -e 's/^20[0-9-]*, [0-9:]*$/DATE, TIME/' -e 's/^\(.*[^n]Paged.*\|Paged.*\|Alloc.*\): [0-9]*$/\1: N/' \
        >"$work/session"
    [ -z "${UPDATE_GOLDEN:-}" ] || cp "$work/session" "$golden/$1"
    diff -u "$golden/$1" "$work/session" >"$work/out"
    result "golden $1"
    : >"$work/out"
}

end
rm -rf "$XDG_CONFIG_HOME"
session gflags.txt <<'END'
gflags
gflags /r
gflags /r +spp Tag1
gflags /r +spp 0x30
gflags /r +spp 100-200
gflags /r +spp *
gflags /r +spp libsqlite3*
gflags /r -spp
gflags /r +hpa +ust
gflags /r 100
gflags /r -2000000
gflags /i notepad.exe
gflags /i notepad.exe +hpa +ust
gflags /i notepad.exe -ust
gflags /p
gflags /p /enable sqlite3 /full /backwards /unaligned
gflags /p /enable heap
gflags /p /enable sized /size 10 0x20 /fault
gflags /p /enable some /random 30 /fault 200 10
gflags -p /enable libs -dlls libssl*,libz.so.1 -leaks
cat config/tagpool/settings
gflags /p /disable sized
gflags /p /disable libs
gflags /i notepad.exe FFFFFFFF
gflags /r -FFFFFFFF
gflags /r 0
cat config/tagpool/settings
gflags /r ust
gflags /r +ptg
gflags /r +htc
gflags /r +soe
gflags /r +lpg
gflags /r +nonsense
gflags /r /tracedb 8
gflags /ro
gflags /ko /d
gflags /i
gflags /i a/b +hpa
gflags /i x +spp Tag1
gflags /p /enable
gflags /p /enable x /full /size 1 2
gflags /p /enable x /backwards
gflags /p /enable x /full /leaks
gflags /p /enable x /random 101
gflags /p /enable x /size 5
gflags /p /enable x /fault 0
gflags /p /enable x /fault z
gflags /p /enable x /dlls
gflags /p /enable x /debug
gflags /p /enable x /address 0x1 0x2
gflags /p /enable x /nonsense
gflags /p /nonsense
gflags /nonsense
gflags /?
gflags /p /?
END
rm -rf "$XDG_CONFIG_HOME"
session verifier.txt <<'END'
verifier
verifier /querysettings
verifier /standard /driver sqlite3 redis-server
verifier /flags 0x209BB /driver old
verifier /faults 1 "Tag1 Tag2" "test1.exe test2.exe" 2
cat config/tagpool/settings
verifier /reset
verifier /faults "" "" "" 0xa /driver sqlite3
verifier /flags 4 /all
verifier /flags 0 /driver quiet
cat config/tagpool/settings
verifier /reset
verifier /volatile /adddriver nosuch
verifier /flags 0x2 /all
verifier /flags 4 /faults
verifier /flags nine
verifier /flags
verifier /standard
verifier /driver
verifier /driver sqlite3
verifier /standard /driver a*
verifier /faults 0 "" a
verifier /faults 10001 "" a
verifier /faults 1 "a*b" a
verifier /faults 1 "" "" soon
verifier /adddriver sqlite3
verifier /interval 5 /query
verifier /log
verifier /log /nowhere/file
verifier /bootmode oneboot
verifier /rc 1 /all
verifier /dif 1
verifier /faultssystematic enableruntime
verifier /domain wdm
verifier /nonsense
verifier nonsense
verifier /?
END

if alone 'golden nobody.txt and running.txt'; then
    session nobody.txt <<'END'
gflags /k
gflags /k +hpa
verifier /query
verifier /volatile /flags 9
verifier /volatile /faults
END
    start loop
    session running.txt <<'END'
gflags /k +hpa
gflags /k +spp Tag1
gflags /k
gflags /k -FFFFFFFF
gflags /k -spp
verifier /query
verifier /volatile /adddriver PROGRAM_NAME
verifier /volatile /flags 1
verifier /query
verifier /volatile /faults 1 "Tag1"
verifier /volatile /removedriver PROGRAM_NAME
verifier /standard /driver PROGRAM_NAME
verifier /reset
END
    end
fi

# ---- kept settings ----

write_kept() {
    mkdir -p "$(dirname "$kept")" && cat >"$kept"
}

write_kept <<END
# what is kept
$name: special=all tags=libffi*

nonsense
other: special=sideways
  *: track=site # no comment here
$name: fail=probability:10000,tag:libffi*
END
start ask
failed=$(ask try 10)
grep -q "line 4 of $kept is passed over: it has no program and colon" "$work/complaints" &&
    grep -q "line 5 of $kept is passed over: 'special=sideways' is not understood" "$work/complaints" &&
    grep -q "line 6 of $kept is passed over: '#' is not understood" "$work/complaints"
cp "$work/complaints" "$work/out"
result 'lines that are not understood are named'
grep -q "$name runs under the verifier, as kept in $kept: special=all tags=libffi\* ; fail=" "$work/complaints"
result 'run says that it uses what is kept'
[ "$failed" = 10 ]
result 'and it is in force'
start ask --verify
[ "$(ask try 10)" = 0 ]
result 'what the command line says comes first'
end
before=$(grep -vc "^other:" "$kept")
"$gflags" /i other +ust >"$work/out" 2>"$work/err"
"$gflags" /i other -ust >"$work/out" 2>"$work/err"
[ "$(wc -l <"$kept")" -eq $((before + 1)) ] && grep -q '^# what is kept$' "$kept" && grep -q '^nonsense$' "$kept"
result 'what is no setting stays'
[ "$(stat -c %a "$kept")" = 600 ]
result 'the file is its user'"'"'s alone'

# By the variables of `env`, without a tool beside it.
write_kept <<END
$name: fail=probability:10000,tag:libffi*
END
fails() { # the program under the variables of `env`: how many of 10 failed
    # shellcheck disable=SC2046 # a word a variable
    echo 'try 10' | env $("$tagpool" env) "$@" "$python" "$target" ask 2>"$work/err"
}
[ "$(fails)" = 10 ]
result 'a program reads it by itself'
[ "$(fails TAGPOOL_VERIFY=)" = 0 ]
result 'but not where TAGPOOL_VERIFY says something, if only nothing'
echo "none: track" >"$kept"
[ "$(fails)" = 0 ]
result 'and of other programs nothing'
mv "$kept" "$work/elsewhere" && ln -s "$work/elsewhere" "$kept"
echo "$name: fail=probability:10000,tag:libffi*" >"$work/elsewhere"
[ "$(fails)" = 0 ]
result 'nor through a link'
says 1 'it is a symbolic link' "$gflags" /r +hpa
rm "$kept" && mkfifo "$kept"
[ "$(fails)" = 0 ]
result 'nor from a pipe'
says 1 'it is no regular file' "$gflags" /r +hpa
rm "$kept"
if [ "$(id -u)" -eq 0 ]; then
    echo "$name: fail=probability:10000,tag:libffi*" >"$kept" && chown 12345 "$kept"
    [ "$(fails)" = 0 ]
    result "nor from another user's file"
    says 1 'it belongs to another user' "$gflags" /r +hpa
    rm -f "$kept"
else
    skip "another user's file" 'only root can give a file away'
    skip 'and tools' 'only root can give a file away'
fi
head -c 20000 /dev/zero | tr '\0' '#' >"$kept"
says 1 'it is longer than 16 KiB' "$gflags" /r +hpa
rm "$kept"
for i in 1 2 3 4 5 6 7 8; do "$gflags" /i "program$i" +hpa >/dev/null 2>&1 & done
wait
[ "$(grep -c '^program[1-8]: special=all$' "$kept")" -eq 8 ]
result 'eight tools write at once, and nothing is lost'
says 1 'there is no place for settings' env -u HOME -u XDG_CONFIG_HOME "$gflags" /r +hpa
HOME=$work/home XDG_CONFIG_HOME='' "$gflags" /r +hpa >/dev/null && grep -q watch "$work/home/.config/tagpool/settings"
result 'without XDG_CONFIG_HOME it is in ~/.config'
chmod 500 "$XDG_CONFIG_HOME/tagpool"
if [ "$(id -u)" -ne 0 ]; then
    says 1 'cannot write' "$gflags" /r +hpa
else
    skip 'a directory that cannot be written' 'root can'
fi
chmod 700 "$XDG_CONFIG_HOME/tagpool"
"$gflags" /? >/dev/full 2>"$work/err"
[ $? -eq 1 ]
result 'full disk: status 1'
"$tagpool" set --help | grep -q '^  +spp WHERE'
result 'help lists the settings'

echo "1..$number"
[ $failures -eq 0 ] || echo "# $failures of $number failed"
[ $failures -eq 0 ]
