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
bundle)
    # 10000 packets from the pool, and the list needs few.
    expect '^hop times at 24  payload at 120  block of 224 bytes$'
    expect '^a list of blocks of 832 bytes  still out 0$'
    expect '^Pack  blocks 100[0-9]{2}  live 0$'
    ;;
condition)
    expect '^the cache fills: [0-9]+ pages$'
    expect '^memory is low: the cache gives up half$'
    expect '^there is plenty again$'
    ;;
common_buffer)
    expect '^ring 8 buffers of one page  (physical|virtual) addresses  32768 bytes locked$'
    expect '^data 262144 bytes  (physical|virtual) address  [1-9][0-9]* runs?$'
    expect '^64 packets of 4096 bytes went to the device and back  moved [0-9]+ times  damaged 0$'
    expect '^still locked 0 bytes$'
    ;;
connections)
    expect '^Conn  allocs [0-9]{4,}  frees [0-9]{4,}  live 0 blocks, 0 bytes'
    expect '^Buff  allocs [0-9]{4,}  frees [0-9]{4,}  live 0 blocks, 0 bytes'
    ;;
limit)
    # A page is 1 KiB: the cache gave up pages at 48 KiB and never had more than 64.
    expect '^asked for 1000 pages  refused 0  shed [1-9][0-9]+ times  most [0-9]+ pages of 64$'
    expect '^low [1-9][0-9] of 100  normal 100 of 100$'
    ;;
iobuf)
    # 3000000 bytes in requests of 512 KiB, each of 8 pieces but the last; many pieces to a call.
    expect '^copied 3000000 bytes by (io_uring|preadv and pwritev)$'
    expect '^requests 12  pieces 94  system calls (1[2-9]|2[0-9])$'
    expect '^equal yes  still out 0$'
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
scope)
    # 4000 requests of 8 connections; only the first ones of each take chunks.
    expect '^broken off 568  files open 8  connections open 8$'
    expect '^192\.0\.2\.8: 500 requests$'
    expect '^Conn  chunks 8  live 8 chunks, 8192 bytes$'
    expect '^Answ  chunks [0-9]{2}  live [0-9]{1,2} chunks, [1-9][0-9]* bytes$'
    expect '^files open 0  connections open 0$'
    for tag in Conn Reqs Answ Scop; do
        expect "^$tag  chunks [0-9]{1,2}  live 0 chunks, 0 bytes\$"
    done
    ;;
*)
    echo "not ok - nobody says what $name prints"
    exit 1
    ;;
esac
