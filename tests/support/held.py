"""A program that stands still (hold.h) under the preload module, and the readers of its accounts."""

import json
import os
import re
import subprocess


def environment(preload, **settings):
    env = dict(os.environ, LD_PRELOAD=preload)
    env.pop("TAGPOOL_TAGS", None)
    env.update({name: str(value) for name, value in settings.items() if value is not None})
    return env


class Held:
    """With-block in which the program stands still."""

    def __init__(self, command, preload, **settings):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment(preload, **settings))

    def __enter__(self):
        self.next()
        return self

    def next(self):
        """Wait until it stands still."""
        line = self.process.stdout.readline()
        if line != b"ready\n":
            raise SystemExit(f"FAILED: the program said {line!r} and ended with {self.process.wait()}")

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def __exit__(self, *unused):
        self.process.stdin.close()
        status = self.process.wait()
        if status != 0:
            raise SystemExit(f"FAILED: the program ended with {status}")


def read_census(census_print, pid):
    """name -> (allocs, frees, bytes), by the small reader of the tests."""
    done = subprocess.run([census_print, str(pid)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: census_print {pid}: {done.returncode} {done.stderr}")
    rows = {}
    for line in done.stdout.splitlines():
        name, *numbers = line.split("\t")
        if name == "flags":
            continue
        rows[name] = tuple(int(n) for n in numbers)
    return rows


def read_top(tagpool, pid):
    """The same by `tagpool top --once --json`."""
    done = subprocess.run([tagpool, "top", "--once", "--json", "-p", str(pid)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: tagpool top -p {pid}: {done.returncode} {done.stderr}")
    processes = [p for p in json.loads(done.stdout) if p["pid"] == pid]
    if len(processes) != 1:
        raise SystemExit(f"FAILED: tagpool top does not show {pid}: {done.stdout}")
    return {pool["name"] or pool["tag"]: (pool["allocs"], pool["frees"], pool["bytes"])
            for pool in processes[0]["pools"] if pool["allocs"]}


def readers(census_print, tagpool):
    """Every reader there is, as (what, function of a pid)."""
    found = [("census", lambda pid: read_census(census_print, pid))]
    if tagpool and os.access(tagpool, os.X_OK):
        found.append(("tagpool top", lambda pid: read_top(tagpool, pid)))
    return found


def of_module(rows, module):
    """Sums of a module, whether its slots are named by the module, by its sites or by its functions."""
    mine = [row for name, row in rows.items() if re.split(r"[+!:]", name)[0] == module]
    return tuple(sum(column) for column in zip(*mine)) if mine else (0, 0, 0)
