"""
Run a program under the preload module.  Wherever it stands still, readers must see what it says it did.

Usage: stress_test.py PRELOAD CENSUS_PRINT TAGPOOL PROGRAM [ARGUMENTS...]     TAGPOOL may be "-"

An argument "as=MIB" limits the address space and is not passed on.
"""

import os
import resource
import subprocess
import sys

import held


def main():
    preload, census_print, tagpool, program, *arguments = sys.argv[1:]
    found = held.readers(census_print, None if tagpool == "-" else tagpool)
    module = os.path.basename(program)
    failures = 0
    before = None
    if arguments and arguments[0].startswith("as="):
        size = int(arguments.pop(0)[3:]) << 20
        before = lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))
    process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=held.environment(preload), preexec_fn=before)
    pid = process.pid
    expected = None
    for line in process.stdout:
        words = line.split()
        if words[0] == "process":
            pid = int(words[1])
        elif words[0] == "counts":
            expected = int(words[1]), int(words[2])
        elif words[0] == "ready":
            for reader, read in found:
                got = held.of_module(read(pid), module)[:2]
                print("ok    " if got == expected else "FAILED", reader, "got", got, "expected", expected)
                failures += got != expected
            process.stdin.write("\n")
            process.stdin.flush()
        else:
            print(line, end="")
    status = process.wait()
    if status != 0:
        print("FAILED: ended with", status)
    sys.exit(1 if failures or status else 0)


main()
