"""The own programs as they are run, the traces that two of them replay, and programs from a directory of the user's."""

import os
import shutil
import subprocess
import sys

from common import HERE, Program

# Passes over a trace that take about a second.
REPLAY_PASSES = {"sqlite3": 45, "python3": 6}

OWN = ["churn", "sizes", "prodcons", "threads", "grow", "large"]


def debian_python():
    """Debian's interpreter; python3 on PATH may be a wrapper that starts another program."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def trace_source(name):
    return f"{HERE}/trace/" + {"sqlite3": "sqlite3.sql", "python3": "python3.py"}[name]


def record(bench, name, path):
    commands = {
        "sqlite3": [shutil.which("sqlite3") or "sqlite3", "-batch", ":memory:", f".read {trace_source(name)}"],
        "python3": [debian_python(), "-S", trace_source(name)],
    }
    settings = {"BENCH_TRACE": path, "LD_PRELOAD": bench.program("libbench-recorder.so"), "PYTHONHASHSEED": "0",
                "PYTHONMALLOC": "malloc"}
    subprocess.run(commands[name], env=bench.environment(settings), stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, check=True)


def trace(bench, name):
    """Path of a trace, recorded anew when its workload or the recorder has changed."""
    path = f"{bench.work}/{name}.trace"
    sources = [trace_source(name), bench.program("libbench-recorder.so")]
    if not os.path.exists(path) or os.path.getmtime(path) < max(map(os.path.getmtime, sources)):
        record(bench, name, f"{path}.new")
        os.replace(f"{path}.new", path)
    return path


def own_programs(bench):
    programs = [Program(name, [bench.program(f"bench_{name}"), str(bench.options.scale)])
                for name in OWN if bench.is_wanted(name)]
    for name, passes in REPLAY_PASSES.items():
        if bench.is_wanted(name):
            command = [bench.program("bench_replay"), trace(bench, name), str(bench.scaled(passes))]
            programs.append(Program(name, command))
    return programs


def extra_programs(bench):
    """Lines of DIR/commands: NAME, then - or a pattern that finds a rate in the output, then a command, all by tabs."""
    directory = bench.options.programs
    if directory is None:
        return []
    programs = []
    with open(f"{directory}/commands", encoding="utf-8") as lines:
        for line in lines:
            if line.strip() == "" or line.startswith("#"):
                continue
            name, rate, command = line.rstrip("\n").split("\t")
            if bench.is_wanted(name):
                shell = ["sh", "-c", f"exec {command}"]
                programs.append(Program(name, shell, directory, None if rate == "-" else rate))
    return programs
