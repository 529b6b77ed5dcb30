"""Mistakes planted in sites that are called all the time: how many are found, by each budget of the verifier."""

import collections
import json
import re
import subprocess

from common import print_table

BUDGETS = (1, 3, 10, 50, 100)

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

# Stops that find what was done before, not the doing.
TRACES = {"C1", "C6"}

Bug = collections.namedtuple("Bug", "number kind strike")


# Of the longest run, the share of blocks that get pages of their own: the chance of a mistake that leaves no trace.
LONGEST = Bug(6, "read-beyond", 1000000)


def list_bugs(bench):
    lines = subprocess.run([bench.program("bench_planted")], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split() for line in lines.splitlines()]
    return [Bug(int(number), kind, int(strike)) for number, kind, strike in rows]


def watch(bench, special, bug, seed, *right, options=()):
    command = [bench.tagpool, "run", "--verify", f"--special-pool={special}", *options, "--",
               bench.program("bench_planted"), str(bug.number), str(seed), *right]
    return subprocess.run(command, env=bench.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)


def find(bench, special, bug, seed):
    """The code of the stop for a mistake; None where it went by.  Anything else is noted."""
    done = watch(bench, special, bug, seed)
    if done.returncode == 0 and done.stdout == "MISSED\n":
        return None
    stop = re.search(r"^\*\*\* STOP: 0x000000(..) ", done.stderr, re.MULTILINE)
    if done.returncode == 3 and stop is not None and stop[1] in CODES[bug.kind]:
        return stop[1]
    bench.note_crash(["planted", str(bug.number), str(seed), bug.kind, special], None, done.returncode, done.stderr)
    return None


def is_quiet(bench, special, bug):
    """Whether the twin without the mistake runs as if nobody looked."""
    done = watch(bench, special, bug, 0, "right")
    if done.returncode == 0 and done.stdout == "RIGHT\n" and "stops=0" in done.stderr:
        return True
    bench.note_crash(["planted", str(bug.number), "right", special], None, done.returncode, done.stderr)
    return False


def count(bench, special, bugs, rounds):
    """[(strike, code)] of the mistakes that were found, in all rounds"""
    found = [(bug.strike, find(bench, special, bug, seed)) for bug in bugs for seed in range(rounds)]
    return [(strike, code) for strike, code in found if code is not None]


def special_share(bench, special):
    """Blocks in special pool, of 1,000."""
    told = [json.loads(line) for line in watch(bench, special, LONGEST, 0, "right", options=["--json"]).stderr.splitlines()
            if line.startswith("{")]
    counters = [line["counters"] for line in told if line["kind"] == "end"]
    return 1000 * sum(of["allocs_special"] for of in counters) / sum(of["allocs_succeeded"] for of in counters)


def curve_row(bench, name, found, bugs, rounds):
    """Mistakes found, of those that strike at each number and of all; those whose trace was found: means of rounds."""
    here = collections.Counter(bug.strike for bug in bugs)
    by_strike = collections.Counter(strike for strike, _ in found)
    traces = sum(code in TRACES for _, code in found)
    cells = [f"{by_strike[strike] / rounds:.1f} of {here[strike]}" for strike in sorted(here)]
    return [name, *cells, f"{len(found) / rounds:.1f} of {len(bugs)}", f"{traces / rounds:.1f}",
            f"{special_share(bench, name):.2f}"]


def run(bench):
    bugs = list_bugs(bench)
    rounds = bench.options.rounds
    strikes = sorted({bug.strike for bug in bugs})
    in_all = count(bench, "all", bugs, 1)
    rows = [curve_row(bench, "all", in_all, bugs, 1)]
    rates = {}
    for percent in BUDGETS:
        found = count(bench, f"auto:{percent}", bugs, rounds)
        rows.append(curve_row(bench, f"auto:{percent}", found, bugs, rounds))
        rates[percent] = len(found) / rounds
    print_table(["found, by which block it strikes", *(f"{strike:,}" for strike in strikes), "all", "by a trace",
                 "special, of 1,000 blocks"], rows)
    quiet = [is_quiet(bench, special, bug) for special in ("all", "auto:10") for bug in bugs]
    bench.row("hot sites: planted mistakes found under all", len(in_all), least=len(bugs))
    for percent, rate in rates.items():
        bench.row(f"hot sites: found under auto:{percent}", rate)
    bench.row("hot sites: twins without a mistake that were reported", quiet.count(False), 0)
