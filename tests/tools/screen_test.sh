#!/bin/sh
# The live screen, looked at through tmux.
#
#   screen_test.sh TAGPOOL SEGMENT_MAKER
#
# Ends with 77 (skipped) where there is no tmux.
set -u
if ! command -v tmux >/dev/null; then
    echo 'skipped: there is no tmux'
    exit 77
fi
tagpool=$(realpath "$1")
maker=$(realpath "$2")
work=$(mktemp -d) || exit 1
segments=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
failures=0
number=0

pid=
second=
unset TMUX
# A server of our own: those of the user are not touched.
tm() { tmux -f /dev/null -S "$work/tmux" "$@"; }
trap 'tm kill-server 2>/dev/null; kill $pid $second 2>/dev/null; rm -rf "$work" "$segments"' EXIT
trap 'exit 1' INT TERM

"$maker" --program=first "$segments" sample >/dev/null &
pid=$!

# Wait up to 5 s until the screen shows (or, with '!', no longer shows) a pattern.
shows() { # WHAT [!] PATTERN
    what=$1 wanted=0
    shift
    if [ "$1" = '!' ]; then wanted=1 && shift; fi
    number=$((number + 1))
    for _ in $(seq 50); do
        tm capture-pane -p -t t >"$work/screen"
        grep -q -e "$1" "$work/screen"
        [ $? -eq $wanted ] && echo "ok $number - $what" && return
        sleep 0.1
    done
    echo "not ok $number - $what"
    sed 's/^/# /' "$work/screen"
    failures=$((failures + 1))
}

keys() { tm send-keys -t t "$@"; }

cat >"$work/start" <<END
export TAGPOOL_SEGMENT_DIR='$segments' TERM=screen LC_ALL=C PS1='prompt> '
echo before
exec sh
END
tm new-session -d -s t -x 100 -y 20 "sh '$work/start'" || exit 1
shows 'a shell' 'prompt>'
keys "$tagpool top -d 0.2; echo status \$?" Enter

shows 'title of the process' "^first ($pid)  RSS .* = tagged 9.9M + allocator"
shows 'names of columns' '^NAME  *LIVE  *%  *+/s  *BLOCKS  *ALLOC/s  *PEAK'
shows 'largest tag first' 'libsqlite3.so.0  *7.9M  *79.7  *0  *2699  *0  *8.6M'
shows 'status line' '1 process  by live bytes  every 0.2 s .*h help  q quit'
keys p
shows 'p: nonpaged pool only' 'nonpaged only'
keys p p
shows 'p p: both again' ! 'nonpaged only'
keys e
shows 'e: totals' '^TOTAL '
keys e
shows 'e: no totals' ! '^TOTAL '
keys a
shows 'a: by allocs' 'by allocs'
keys '('
shows '(: by change' 'by change of allocs'
keys '(' w
shows 'w: the layout of PoolMon' '^ Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc'
shows 'w: its rows' '^ sh   Paged   3971107 (   0)   3971077 (   0)       30     480 (     0)     16'
keys t
shows 't: by tag' 'by tag'
keys w b
shows 'b: by live bytes' 'by live bytes'

keys h
shows 'h: help' 'w  *other layout'
keys Escape
shows 'Esc: help is gone' 'libsqlite3'

"$maker" --program=second "$segments" sample >/dev/null &
second=$!
shows 'a process appears' "^second ($second)"
shows 'and is counted' '2 processes'
tm resize-window -t t -x 100 -y 6
shows 'a small window' '2 processes'
keys End
shows 'End: the last rows' 'no-such-module'
shows 'their title stays in sight' "^second ($second)"
shows 'and so do the names of columns' '^NAME'
keys Home
shows 'Home: the first rows' 'libsqlite3'
keys Down Down Down
shows 'arrows: further down' ! 'libsqlite3'
keys PPage
shows 'PgUp: up again' 'libsqlite3'
tm resize-window -t t -x 60 -y 30
shows 'a narrow window' "^second ($second)"
kill $second
wait $second 2>/dev/null
shows 'a process ends' ! '^second'
keys q
shows 'q: status 0, the terminal as before' 'status 0'
keys 'stty -a | tr " " "\n" | grep -x echo' Enter
shows 'the terminal echoes' '^echo'

keys clear Enter "$tagpool top -p $pid; echo status \$?" Enter
shows 'one process' '1 process  by live bytes  every 1.0 s'
rm "$segments"/*
keys Space
shows 'it has ended' "Process $pid has ended"
shell=$(tm display-message -p -t t '#{pane_pid}')
# shellcheck disable=SC2046 # one number and a blank
kill -TERM $(cat "/proc/$shell/task/$shell/children")
shows 'ended by a signal: so says the status' 'status 143'

tm resize-window -t t -x 100 -y 20
keys clear Enter "TERM=no-such-terminal $tagpool top; echo status \$?" Enter
shows 'an unknown terminal is an error' "the terminal 'no-such-terminal' is not known"

echo "1..$number"
[ $failures -eq 0 ]
