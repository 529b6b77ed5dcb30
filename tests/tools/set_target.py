"""
A program for set_test.sh to switch things in.  Blocks that it asks the C library for by name are libffi's.

  set_target.py loop     allocate for ever
  set_target.py ask      do what lines on stdin say: "try N" allocates and frees, and tells how many failed;
                         "hold N" allocates 1 KiB each until one fails or there are N, and tells how many there were;
                         "over" writes behind the end of a block of 40 bytes
"""

import ctypes
import sys
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def attempt(count):
    failed = 0
    for _ in range(count):
        block = libc.malloc(100)
        failed += block is None
        libc.free(block)
    return failed


def hold(most):
    blocks = []
    while len(blocks) < most:
        block = libc.malloc(1024)
        if block is None:
            break
        blocks.append(block)
    for block in blocks:
        libc.free(block)
    return len(blocks)


def over(_count):
    ctypes.memset(libc.malloc(40), 65, 64)
    return 0


def loop():
    while True:
        blocks = [bytes(size) for size in range(600, 4000, 50)]
        attempt(20)
        del blocks
        time.sleep(0.001)


def main():
    if sys.argv[1] == "loop":
        print("ready", flush=True)
        loop()
    for line in sys.stdin:
        word, count = line.split()
        print({"try": attempt, "hold": hold, "over": over}[word](int(count)), flush=True)


main()
