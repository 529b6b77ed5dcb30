"""Many blocks in special pool at once, by each kind of guard: what fails or is refused, mappings, memory."""

import json
import os
import subprocess
import sys

from common import HERE, number_after, print_table

sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "support"))

import guards

ALLOCS = 10000000
LIVE = 1000000
GUARDS = ["madvise", "userfault"]  # "protect" has a mapping for each block
FIGURES = ["failures", "wrong", "special", "refused", "mappings", "peak MiB", "seconds"]


def find_counters(text):
    """What the verifier counted, as --json tells it at the end; None where it did not."""
    for line in text.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            if told.get("kind") == "end":
                return told["counters"]
    return None


def max_map_count():
    with open("/proc/sys/vm/max_map_count", encoding="ascii") as file:
        return int(file.read())


def run_guard(bench, guard):
    """{figure: value}; None, and a note, when it did not end well."""
    command = [bench.tagpool, "run", "--verify", "--special-pool=all", "--tags=Scal", f"--guard={guard}", "--json", "--",
               bench.program("bench_scale"), str(bench.scaled(ALLOCS, 1000)), str(bench.scaled(LIVE, 100))]
    done = subprocess.run(command, env=bench.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)
    counters = find_counters(done.stderr)
    if done.returncode != 0 or counters is None:
        bench.note_crash(command, None, done.returncode, done.stderr)
        return None
    figures = {name: number_after(name, done.stdout) for name in FIGURES}
    return {**figures, "special": counters["allocs_special"], "refused": counters["special_refused"],
            "peak MiB": number_after("peak_kib", done.stdout) / 1024}


def run(bench):
    there = guards.kinds()
    for guard in GUARDS:
        if guard not in there:
            print(f"{guard} is left out: the system does not have it")
    found = {guard: run_guard(bench, guard) for guard in GUARDS if guard in there}
    found = {guard: figures for guard, figures in found.items() if figures is not None}
    print(f"{bench.scaled(ALLOCS, 1000)} blocks, {bench.scaled(LIVE, 100)} at once; vm.max_map_count {max_map_count()}")
    print_table(["guard", *FIGURES],
                [[guard, *(f"{figures[name]:.0f}" for name in FIGURES)] for guard, figures in found.items()])
    for guard, figures in found.items():
        bench.row(f"scale: allocations that failed, {guard}", figures["failures"] + figures["wrong"], 0)
        bench.row(f"scale: refused by special pool, {guard}", figures["refused"], 0)
        bench.row(f"scale: mappings, {guard}", figures["mappings"], max_map_count())
        bench.row(f"scale: peak RSS, {guard}", figures["peak MiB"], unit=" MiB")
