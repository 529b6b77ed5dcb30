"""What the sections share: running a program and measuring it, interleaved rounds, medians, and the final rows."""

import collections
import math
import os
import platform
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEBIAN_LIBRARIES = f"/usr/lib/{platform.machine()}-linux-gnu"
PEERS = {
    "mimalloc": "libmimalloc.so.2",
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}

# seconds: what the program said that its work took, else wall-clock time; cpu: user and system time
Result = collections.namedtuple("Result", "seconds cpu peak_kib output")

# rate: a pattern whose first group is a rate that the program prints, for those that run for a set time
Program = collections.namedtuple("Program", "name command directory rate", defaults=(None, None))


def median(values):
    return statistics.median(values) if values else math.nan


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def number_after(word, text):
    """The number in the line `word NUMBER` of a program's output; None if there is none."""
    found = re.search(rf"^{word} ([0-9.]+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


class Bench:
    def __init__(self, options):
        self.options = options
        self.build = os.path.abspath(options.build)
        self.module = f"{self.build}/preload/libtagpool-preload.so"
        self.module_without = self.program("libtagpool-preload-no-accounts.so")
        self.tagpool = f"{self.build}/tools/tagpool"
        self.work = f"{self.build}/bench/work"
        self.crashes = []
        self.rows = []
        os.makedirs(self.work, exist_ok=True)
        self.priority = self.find_priority()

    def program(self, name):
        return f"{self.build}/bench/{name}"

    def scaled(self, usual, least=1):
        return max(least, round(usual * self.options.scale))

    # --- running ---

    def find_priority(self):
        if not self.options.chrt:
            return []
        allowed = subprocess.run([self.program("bench_measure"), "-r", "true"], capture_output=True, check=False)
        if allowed.returncode == 0:
            return ["-r"]
        print("bench: real-time priority is not allowed here: running without", file=sys.stderr)
        return []

    def environment(self, extra=None):
        """As the user's, but for what would change an allocator behind our back."""
        ours = {name: value for name, value in os.environ.items()
                if name != "LD_PRELOAD" and not name.startswith(("TAGPOOL_", "MIMALLOC_", "MALLOC_", "TCMALLOC_"))}
        return {**ours, **(extra or {})}

    def measure(self, command, library=None, directory=None, extra=None, is_peer=False):
        """Run a command once under a library; None, and a note, when it did not end well.  Peers may do so."""
        preload = ["-p", library] if library else []
        done = subprocess.run([self.program("bench_measure"), *self.priority, *preload, *command], cwd=directory,
                              env=self.environment(extra), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        found = re.search(r"^measured (\S+) (\S+) (\S+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
        if found is None or found[5] != "0":
            self.note_crash(command, library, found[5] if found else "none", done.stderr, is_peer)
            return None
        seconds = number_after("seconds", done.stdout)
        return Result(seconds if seconds is not None else float(found[1]), float(found[2]) + float(found[3]),
                      int(found[4]), done.stdout)

    def note_crash(self, command, library, status, errors, is_peer=False):
        what = f"{' '.join(command)} under {os.path.basename(library or 'glibc')}: status {status}"
        if not is_peer:
            self.crashes.append(what)
        print(f"{'STOPPED' if is_peer else 'CRASHED'}: {what}\n{errors[-400:]}", flush=True)

    def race(self, programs, contestants, rounds=None):
        """All programs under all contestants {name: library}, in turn, so that drift hits all alike."""
        results = {program.name: {name: [] for name in contestants} for program in programs}
        order = list(contestants)
        for _ in range(rounds or self.options.rounds):
            for program in programs:
                for name in order:
                    result = self.measure(program.command, contestants[name], program.directory)
                    if result is not None:
                        results[program.name][name].append(self.timed(program, result))
            order = order[1:] + order[:1]
        return results

    def timed(self, program, result):
        """The result with the time that is compared."""
        if program.rate is not None:
            found = re.search(program.rate, result.output)
            return result._replace(seconds=1e9 / float(found[1]) if found else math.nan)
        return result._replace(seconds=result.cpu) if self.options.cpu else result

    # --- contestants ---

    def allocators(self):
        """{name: library to preload}; the C library's own needs none."""
        found = {"glibc": None}
        for name, file in PEERS.items():
            path = f"{DEBIAN_LIBRARIES}/{file}"
            if os.path.exists(path):
                found[name] = path
            else:
                print(f"bench: {name} is left out: there is no {path}", file=sys.stderr)
        found.update(other.split("=", 1) for other in self.options.others)
        found["tagpool"] = self.module
        return found

    def is_wanted(self, name):
        return self.options.only is None or name in self.options.only

    # --- rows ---

    def row(self, name, value, most=None, unit="", least=None):
        """A figure; `most`: what it must not exceed, `least`: what it must reach, as printed; else only a record."""
        figure = f"{value:.3f}" if value < 100 else f"{value:.0f}"
        verdict = "(record)"
        if most is not None:
            verdict = f"(must: <= {most:g}{unit}) {'ok' if float(figure) <= most else 'FAILS'}"
        if least is not None:
            verdict = f"(must: >= {least:g}{unit}) {'ok' if float(figure) >= least else 'FAILS'}"
        line = f"{name}: {figure}{unit} {verdict}"
        self.rows.append(line)
        print(line, flush=True)

    def print_summary(self):
        print("== summary")
        for line in self.rows + [f"CRASHED: {what}" for what in self.crashes]:
            print(line)


def medians(results, field):
    """{program: {contestant: median}}, of those that ever ended well."""
    return {program: {name: median([getattr(result, field) for result in runs])
                      for name, runs in of_program.items() if runs}
            for program, of_program in results.items()}


def print_table(head, rows):
    """Columns as wide as they must be; the first one is words, the others are figures."""
    lines = [head] + rows
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]))
