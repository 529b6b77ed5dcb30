"""
Leaks that a program tells of at its end: those that were planted and no others; real programs lose nothing.

Usage: leaks_test.py CASE PRELOAD [LEAKING]      exits with 77 where a program is not installed
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

SKIP = 77
LOST, _, REACHABLE = 1, 2, 3
LEAK_RECORD, END_RECORD = 2, 4
STACK_ITEM, LEAK_ITEM, COUNTERS_ITEM = 3, 6, 8
HEAD = struct.Struct("<4IQ64s")
WAYS = ("exit", "quick_exit", "_exit", "threads", "vfork", "fork")


def items(record):
    at = HEAD.size
    while at < len(record):
        kind, size = struct.unpack_from("<2I", record, at)
        yield kind, record[at + 8:at + 8 + size]
        at += 8 + (size + 7) // 8 * 8


def read_report(path):
    """Leaks as (class, name, blocks, bytes); the counters of each process that ended by itself, and its number behind."""
    with open(path, "rb") as file:
        data = file.read()
    leaks, counters = [], []
    while data:
        _, size, kind, pid, *_ = HEAD.unpack_from(data)
        for item, payload in items(data[:size]):
            if kind == LEAK_RECORD and item == LEAK_ITEM:
                leak_class, _, blocks, total, name = struct.unpack("<2I2Q112s", payload)
                leaks.append([leak_class, name.split(b"\0")[0].decode(), blocks, total, 0])
            elif kind == LEAK_RECORD and item == STACK_ITEM:
                leaks[-1][-1] = struct.unpack_from("<2I", payload)[1]
            elif kind == END_RECORD and item == COUNTERS_ITEM:
                counters.append(struct.unpack("<10Q", payload) + (pid,))
        data = data[size:]
    return leaks, counters


class Verified:
    """Runs of programs that look for leaks at their end."""

    def __init__(self, directory, preload):
        self.directory = directory
        self.pid = 0
        self.report = os.path.join(directory, "report")
        self.env = dict(os.environ, LD_PRELOAD=preload, TAGPOOL_REPORT=self.report, LC_ALL="C.UTF-8", HOME=directory)
        for name in ("TAGPOOL_TAGS", "LD_LIBRARY_PATH", "MALLOC_PERTURB_"):
            self.env.pop(name, None)

    def __call__(self, *command, words="leaks", expected=0, **settings):
        os.close(os.open(self.report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.directory,
                              env=dict(self.env, TAGPOOL_VERIFY=words, **settings)) as process:
            _, said = process.communicate(timeout=50)
        if process.returncode != expected:
            raise SystemExit(f"FAILED: {command} ended with {process.returncode}: {said}")
        self.pid = process.pid
        return read_report(self.report)


def lost(leaks):
    return sorted(leak[1:] for leak in leaks if leak[0] != REACHABLE)


def total(leaks):
    return sum(leak[2] for leak in leaks if leak[0] != REACHABLE), sum(leak[3] for leak in leaks if leak[0] != REACHABLE)


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"FAILED: {what}: {found}, not {expected}")


def case_planted(run, leaking):
    for words in ("leaks", "leaks special=auto", "leaks special=all", "leaks special=all guard=userfault",
                  "leaks special=all guard=protect ends=under"):
        leaks, counters = run(leaking, words=words)
        check(words, total(leaks), (3, 3200))
        check(words, counters[-1][7:9], (3, 0))


def case_ways(run, leaking):
    for way in WAYS:
        leaks, counters = run(leaking, way, expected=-9 if way == "fork" else 0)
        check(way, total(leaks), (3, 3200))
        check(way, [row[7:9] for row in counters], [(3, 0)])
        check(way, counters[0][-1] == run.pid, way != "fork")


def case_sites(run, leaking):
    """Two groups, by their stacks or by their calling addresses."""
    for tags, name in (("module", "leaking"), ("site", "leaking+")):
        leaks, _ = run(leaking, TAGPOOL_TAGS=tags)
        check(tags, sorted(leak[1:3] for leak in lost(leaks)), [[1, 3000], [2, 200]])
        check("names", all(leak[0].startswith(name) for leak in lost(leaks)), True)
        check("stacks", all(leak[3] >= 3 for leak in lost(leaks)), True)
    leaks, _ = run(leaking)
    check("one for each tag that is left", all(leak[2] == 1 and leak[4] == 0 for leak in leaks if leak[0] == REACHABLE),
          True)


def case_tags(run, leaking):
    """Only tags that were named are looked at."""
    leaks, counters = run(leaking, words="leaks tags=libc.so.6")
    check("tags", lost(leaks), [])
    check("tags", counters[-1][7], 0)


def case_nobody(run, leaking):
    """Where nobody listens, one line says it."""
    env = dict(run.env, TAGPOOL_VERIFY="leaks")
    del env["TAGPOOL_REPORT"]
    done = subprocess.run([leaking], capture_output=True, text=True, env=env, timeout=50)
    check("one line", done.stderr,
          "tagpool: 3 blocks, 3200 bytes definitely lost; 0 blocks, 0 bytes possibly lost; 1 block, 40 bytes reachable\n")


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            print(program, "is not installed")
            raise SystemExit(SKIP)


def case_programs(run, _):
    needs("sqlite3", "python3", "git")
    python = os.path.realpath(sys.executable)
    runs = {
        "sqlite3": ["sqlite3", ":memory:", "create table a(b); insert into a values(1),(2); select sum(b) from a;"],
        "python3": [python, "-c", "import json, re; print(len(json.dumps(list(range(5000)))))"],
        "python3 with malloc": [python, "-X", "dev", "-c", "print(sorted(str(i) for i in range(2000))[7])"],
        "git": ["git", "init", "-q", "repository"],
    }
    for name, command in runs.items():
        leaks, counters = run(*command, words="special=auto leaks", PYTHONMALLOC="malloc" if "with" in name else "")
        check(name, [leak for leak in leaks if leak[0] == LOST], [])
        check(name + " has something reachable", counters[-1][9] > 0, True)


def case_redis(run, _):
    needs("redis-server", "redis-cli")
    socket = os.path.join(run.directory, "socket")
    env = dict(run.env, TAGPOOL_VERIFY="special=auto leaks")
    os.close(os.open(run.report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", ""],
                              stdout=subprocess.DEVNULL, env=env, cwd=run.directory)
    for _ in range(200):
        if os.path.exists(socket):
            break
        time.sleep(0.1)
    for command in (["set", "a", "b"], ["lpush", "list", *map(str, range(500))], ["eval", "return 1", "0"],
                    ["shutdown", "nosave"]):
        subprocess.run(["redis-cli", "-s", socket, *command], stdout=subprocess.DEVNULL, timeout=30, check=False)
    check("redis", server.wait(timeout=30), 0)
    leaks, counters = read_report(run.report)
    check("redis", [leak for leak in leaks if leak[0] == LOST], [])
    check("redis", len(counters), 1)


def main():
    case, preload, *rest = sys.argv[1:2] + [os.path.abspath(path) for path in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as directory:
        globals()["case_" + case](Verified(directory, preload), rest[0] if rest else None)


main()
