#!/bin/sh
# What an example prints must hold the lines that belong to it: examples_test.sh NAME PROGRAM [PRELOAD].
set -eu
name=$1
program=$2
printed=$(LD_PRELOAD=${3:+$(realpath "$3")} "$program")
echo "$printed"

expect() {
    if ! echo "$printed" | grep -Eq -- "$1"; then
        echo "not ok - $name prints no line like: $1"
        exit 1
    fi
}

case $name in
connections)
    expect '^Conn  allocs [0-9]{4,}  frees [0-9]{4,}  live 0 blocks, 0 bytes'
    expect '^Buff  allocs [0-9]{4,}  frees [0-9]{4,}  live 0 blocks, 0 bytes'
    ;;
limit)
    # A page is 1 KiB: the cache gave up pages at 48 KiB and never had more than 64.
    expect '^asked for 1000 pages  refused 0  shed [1-9][0-9]+ times  most [0-9]+ pages of 64$'
    expect '^low [1-9][0-9] of 100  normal 100 of 100$'
    ;;
lookaside)
    # 48000 requests, and at most one in a hundred was made.
    expect '^requests 48000  from the pool [0-9]{2,3}  kept [0-9]+  depth [0-9]+ of 256  buffers made [0-9]{2,3}$'
    expect '^still out 0$'
    ;;
quota)
    expect '^small   served 10  refused 0  holds 10 KiB$'
    expect '^greedy  served 50  refused 50  holds 50 KiB$'
    expect '^all     holds 100 KiB$'
    expect '^freed   holds 0 KiB$'
    ;;
*)
    echo "not ok - nobody says what $name prints"
    exit 1
    ;;
esac
