"""
tagpool leaks: a program that stands still, looked at from outside; whoever cannot be looked at, and why.

Usage: outside_test.py CASE TAGPOOL PRELOAD LOST_BLOCKS      exits with 77 where a case cannot be made
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time

from held import Held

SKIP = 77
PTRACE_SEIZE = 0x4206
NOBODY = 65534


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"FAILED: {what}: {found}, not {expected}")


def look(tagpool, pid, *options, **how):
    return subprocess.run([tagpool, "leaks", "-p", str(pid), *options], capture_output=True, text=True, timeout=60, **how)


def groups(done):
    """(class, blocks, bytes, functions) of the program's own blocks, and the sum."""
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    leaks = [row for row in rows if row["kind"] == "leak" and row["leak"]["name"].startswith("lost_blocks")]
    found = [(row["leak"]["class"], row["leak"]["blocks"], row["leak"]["bytes"],
              tuple(frame["function"] for frame in row.get("stacks", {}).get("alloc", [])[:2])) for row in leaks]
    return found, rows[-1]


def check_program(tagpool, process, words):
    done = look(tagpool, process.process.pid, "--all", "--json")
    found, total = groups(done)
    is_tracked = words is not None
    check("status", (done.returncode, done.stderr), (4, ""))
    check("sum", (total["kind"], total["lost"]["blocks"], total["possibly_lost"]["blocks"]), ("sum", 3, 1))
    check("pauses", len(total["paused_ms"]), 2)
    size = 200 if is_tracked else 208
    check("lost", [row[:3] for row in found if row[0] == "lost"], [("lost", 3, 3 * size)])
    check("possibly", [row[1] for row in found if row[0] == "possibly lost"], [1])
    check("reachable", [row[1] for row in found if row[0] == "reachable"], [3])
    if is_tracked:
        check("functions", found[0][3][0], "lose")


def case_seen(tagpool, preload, program):
    """The same whatever keeps the blocks."""
    for words in (None, "track", "watch track", "special=all", "special=all guard=userfault",
                  "special=all guard=protect ends=under"):
        with Held([program], preload, TAGPOOL_VERIFY=words) as process:
            check_program(tagpool, process, words)
            check_program(tagpool, process, words)
            process.go_on()


def case_text(tagpool, preload, program):
    with Held([program], preload, TAGPOOL_VERIFY="track") as process:
        done = look(tagpool, process.process.pid)
        lines = done.stdout.splitlines()
        check("first", lines[0].startswith("Definitely lost: 3 blocks, 600 bytes, tag lost (lost_blocks)"), True)
        check("place", "lose" in lines[1] and "lost_blocks.c:" in lines[1], True)
        check("last", "3 blocks, 600 bytes definitely lost; 1 block, 600 bytes possibly lost; " in lines[-1] and
              "paused" in lines[-1] and lines[-1].endswith(" ms"), True)
        check("reachable is not told", "Still reachable" in done.stdout, False)
        process.go_on()


def case_stopped(tagpool, preload, program):
    """One that is stopped stays so, and gets its signals."""
    with Held([program], preload) as process:
        pid = process.process.pid
        os.kill(pid, signal.SIGSTOP)
        while state(pid) != "T":
            time.sleep(0.01)
        check("status", look(tagpool, pid).returncode, 4)
        check("still stopped", state(pid), "T")
        os.kill(pid, signal.SIGCONT)
        process.go_on()


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def says(done, words):
    if done.returncode != 1 or words not in done.stderr or done.stdout or done.stderr.count("\n") != 1:
        raise SystemExit(f"FAILED: {done.returncode} {done.stderr!r} {done.stdout!r}, not {words!r}")


def case_refused(tagpool, preload, program):
    says(look(tagpool, os.getpid()), "does not run under tagpool")
    says(look(tagpool, 2**22 + 1), "there is no process")
    with Held([program], preload) as process:
        trace(tagpool, process.process.pid)
        process.go_on()


def trace(tagpool, pid):
    """A process has one tracer: the test itself."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        print("the test may not trace")
        raise SystemExit(SKIP)
    says(look(tagpool, pid), f"is traced by process {os.getpid()} already")
    libc.ptrace(17, pid, None, None)


def case_forbidden(tagpool, preload, program):
    """Without rights: a process that may not be dumped."""
    if os.geteuid() != 0:
        print("the test has no rights to give up")
        raise SystemExit(SKIP)
    held = Nobody([program, "secret"], preload)
    try:
        says(look(tagpool, held.process.pid, user=NOBODY, group=NOBODY, extra_groups=[]), "does not let you stop")
    finally:
        held.end()


class Nobody:
    def __init__(self, command, preload):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=NOBODY,
                                        group=NOBODY, extra_groups=[], env=dict(os.environ, LD_PRELOAD=preload))
        check("begins", self.process.stdout.readline(), b"ready\n")

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    case, *paths = sys.argv[1:]
    globals()["case_" + case](*[os.path.abspath(path) for path in paths])


main()
