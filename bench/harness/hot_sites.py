"""Mistakes planted in sites that are called all the time: how many are found, by each budget of the verifier."""

import collections
import re
import subprocess

from common import print_table

BUDGETS = [1, 2, 5, 10, 20, 50]

# What a stop for each kind may be: the access itself, or its trace, which may lie in a freed neighbour (C6).
CODES = {
    "write-beyond": {"CD", "C1", "C6"},
    "read-beyond": {"CD"},
    "write-before": {"CD", "C1", "C6"},
    "read-freed": {"CC"},
    "write-freed": {"CC", "C6"},
    "free-twice": {"C2"},
    "free-middle": {"C2"},
    "wrong-function": {"C2"},
    "wrong-size": {"C1", "C2"},
    "copy-beyond": {"CD", "C1", "C6"},
    "string-beyond": {"CD", "C1"},
}

Bug = collections.namedtuple("Bug", "number kind strike")


def list_bugs(bench):
    lines = subprocess.run([bench.program("bench_planted")], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split() for line in lines.splitlines()]
    return [Bug(int(number), kind, int(strike)) for number, kind, strike in rows]


def watch(bench, special, bug, seed, *right):
    command = [bench.tagpool, "run", "--verify", f"--special-pool={special}", "--", bench.program("bench_planted"),
               str(bug.number), str(seed), *right]
    return subprocess.run(command, env=bench.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)


def is_found(bench, special, bug, seed):
    """Whether a mistake is found; anything else than that, or that it went by, is noted."""
    done = watch(bench, special, bug, seed)
    if done.returncode == 0 and done.stdout == "MISSED\n":
        return False
    stop = re.search(r"^\*\*\* STOP: 0x000000(..) ", done.stderr, re.MULTILINE)
    if done.returncode == 3 and stop is not None and stop[1] in CODES[bug.kind]:
        return True
    bench.note_crash(["planted", str(bug.number), str(seed), bug.kind, special], None, done.returncode, done.stderr)
    return False


def is_quiet(bench, special, bug):
    """Whether the twin without the mistake runs as if nobody looked."""
    done = watch(bench, special, bug, 0, "right")
    if done.returncode == 0 and done.stdout == "RIGHT\n" and "stops=0" in done.stderr:
        return True
    bench.note_crash(["planted", str(bug.number), "right", special], None, done.returncode, done.stderr)
    return False


def count(bench, special, bugs, rounds):
    """{strike: mistakes found in all rounds}"""
    found = collections.Counter()
    for bug in bugs:
        for seed in range(rounds):
            found[bug.strike] += is_found(bench, special, bug, seed)
    return found


def curve_row(name, found, bugs, rounds):
    """Mistakes found, of those that strike at each number and of all: a mean over the rounds."""
    here = collections.Counter(bug.strike for bug in bugs)
    cells = [f"{found[strike] / rounds:.1f} of {here[strike]}" for strike in sorted(here)]
    return [name, *cells, f"{sum(found.values()) / rounds:.1f} of {len(bugs)}"]


def run(bench):
    bugs = list_bugs(bench)
    rounds = bench.options.rounds
    found = {"all": count(bench, "all", bugs, 1)}
    rows = [curve_row("all", found["all"], bugs, 1)]
    for percent in BUDGETS:
        special = f"auto:{percent}"
        found[special] = count(bench, special, bugs, rounds)
        rows.append(curve_row(special, found[special], bugs, rounds))
    strikes = sorted({bug.strike for bug in bugs})
    print_table(["found, by which block it strikes", *(f"{strike:,}" for strike in strikes), "all"], rows)
    quiet = [is_quiet(bench, special, bug) for special in ("all", "auto:10") for bug in bugs]
    bench.row("hot sites: planted mistakes found under all", sum(found["all"].values()), least=len(bugs))
    for percent in BUDGETS:
        bench.row(f"hot sites: found under auto:{percent}", sum(found[f"auto:{percent}"].values()) / rounds)
    bench.row("hot sites: twins without a mistake that were reported", quiet.count(False), 0)
