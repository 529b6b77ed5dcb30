"""What watching costs: real programs under each strength of the verifier, and under other tools, over the bare ones."""

import collections
import os
import re
import shutil

import workloads
from common import HERE, median, print_table

# prefix: what stands before the command; is_peer: another tool, which may fail; is_once: too slow for every round
Contestant = collections.namedtuple("Contestant", "name prefix is_peer is_once", defaults=(False, False))

# share: of what the program is given to do; passes: how often that is done
Work = collections.namedtuple("Work", "share passes")

# A comparison is of the same work for all of its contestants.  What is slow is compared over less of it.
COMPARISONS = ["usual", "small", "tiny"]
WORKS = {
    "sqlite3": {"usual": Work(1, 8), "small": Work(1, 1), "tiny": Work(0.03, 1)},
    "python3": {"usual": Work(1, 4), "small": Work(0.25, 1), "tiny": Work(0.01, 1)},
    "espresso": {"usual": Work(0.6, 1), "small": Work(0.15, 1), "tiny": Work(0.01, 1)},
}

# Peers are given up after so many seconds.
PATIENCE = ["timeout", "900"]


# --- contestants ---

def run_with(bench, name, *options):
    return Contestant(name, [bench.tagpool, "run", *options, "--"])


def heaptrack(bench):
    """It only records: what makes its record readable is no part of the watching."""
    return Contestant("heaptrack --raw", [*PATIENCE, "heaptrack", "--raw", "-o", f"{bench.work}/heaptrack"], True)


def usual_contestants(bench):
    found = [
        run_with(bench, "--verify", "--verify"),
        run_with(bench, "--verify --track", "--verify", "--track"),
        run_with(bench, "--verify --track=full", "--verify", "--track=full"),
        run_with(bench, "--verify=track --track=site", "--verify=track", "--track=site"),
        run_with(bench, "--verify=track", "--verify=track"),
        run_with(bench, "--verify=track --track=full", "--verify=track", "--track=full"),
        run_with(bench, "--harden", "--harden"),
        run_with(bench, "run alone"),
    ]
    if shutil.which("heaptrack"):
        found.append(heaptrack(bench))
    return found


def small_contestants(bench):
    found = [run_with(bench, "--special-pool=all", "--verify", "--special-pool=all"),
             run_with(bench, "--verify", "--verify")]
    if shutil.which("valgrind"):
        found.append(Contestant("memcheck, once", [*PATIENCE, "valgrind", "-q"], True, True))
    return found


def tiny_contestants(bench):
    if not bench.options.duma:
        return []
    preload = ["env", f"LD_PRELOAD={os.path.abspath(bench.options.duma)}", "DUMA_ALIGNMENT=16"]
    return [run_with(bench, "--special-pool=all", "--verify", "--special-pool=all"),
            Contestant("DUMA", [*PATIENCE, *preload], True)]


def contestants(bench, comparison):
    """The first is what the others are compared with."""
    makers = {"usual": usual_contestants, "small": small_contestants, "tiny": tiny_contestants}
    return [Contestant("bare", []), *makers[comparison](bench)]


# --- programs ---

def sqlite3_command(bench, work):
    """The script of the trace, with fewer rows or several times."""
    with open(workloads.trace_source("sqlite3"), encoding="utf-8") as source:
        script = re.sub(r"(?<=WHERE i < )\d+", lambda rows: str(round(int(rows[0]) * work.share)), source.read())
    path = f"{bench.work}/verifier.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{script}.open :memory:\n" * work.passes)
    return ["sqlite3", "-batch", ":memory:", f".read {path}"]


def python3_command(_bench, work):
    source = workloads.trace_source("python3")
    return [workloads.debian_python(), "-S", source, str(work.share), str(work.passes)]


def espresso_command(bench, work):
    """Of its largest input, which is a table, the first lines."""
    home = os.path.abspath(bench.options.espresso)
    with open(f"{home}/bench/espresso/largest.espresso", encoding="ascii") as source:
        lines = [line for line in source if not line.startswith(".e")]
    path = f"{bench.work}/verifier.espresso"
    with open(path, "w", encoding="ascii") as file:
        file.writelines(lines[:round(len(lines) * work.share)])
        file.write(".e\n")
    return [f"{home}/out/bench/espresso", "-s", path]


def commands(bench):
    """{program: what makes its command of a Work}"""
    makers = {"python3": python3_command}
    if shutil.which("sqlite3"):
        makers["sqlite3"] = sqlite3_command
    if bench.options.espresso:
        makers["espresso"] = espresso_command
    return {name: makers[name] for name in WORKS if name in makers and bench.is_wanted(name)}


# --- runs ---

def lines_of(result):
    """What the program printed, without the times that it took."""
    return re.sub(r"Time was \S+ sec", "", result.output).splitlines()


def in_order(wanted, lines):
    """Whether all that is wanted stands in the lines, which may have some of a tool's own in between."""
    rest = iter(lines)
    return all(line in rest for line in wanted if not line.startswith("measured "))


def run_one(bench, contestant, command, bare):
    """A Result; None where it stopped, or printed something else than the bare program."""
    environment = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    full = [*contestant.prefix, *command]
    result = bench.measure(full, extra=environment, is_peer=contestant.is_peer)
    if result is not None and bare is not None and not in_order(lines_of(bare), lines_of(result)):
        bench.note_crash(full, None, "0, but its output is another one", "", contestant.is_peer)
        return None
    return result


def run_round(bench, command, taking_part, turn):
    """{name: Result} of one round; bare comes first, for outputs are compared with its own."""
    bare = run_one(bench, taking_part[0], command, None)
    others = taking_part[1:]
    turn %= max(len(others), 1)
    results = {"bare": bare}
    for contestant in others[turn:] + others[:turn]:
        results[contestant.name] = run_one(bench, contestant, command, bare)
    return results


def race(bench, command, taking_part):
    """[{name: Result}], a round each; what is slow, or did not end well before, takes part no more."""
    rounds = []
    for turn in range(bench.options.rounds):
        rounds.append(run_round(bench, command, taking_part, turn))
        taking_part = [contestant for contestant in taking_part
                       if rounds[-1][contestant.name] is not None and not contestant.is_once]
        if not taking_part or taking_part[0].name != "bare":
            break
    return rounds


# --- figures ---

def ratios_of(rounds, name, field):
    """To the bare run of the same round."""
    return [getattr(results[name], field) / getattr(results["bare"], field) for results in rounds
            if results["bare"] is not None and results.get(name) is not None]


def figures(ratios):
    return [f"{median(ratios):.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}"] if ratios else ["stopped", "", ""]


def print_ratios(program, comparison, work, rounds, names):
    bare = [results["bare"] for results in rounds if results["bare"] is not None]
    print(f"{program}, {comparison} work ({work.share:g} of its input, {work.passes} times): bare "
          f"{median([result.cpu for result in bare]):.2f} s user and system, "
          f"{median([result.seconds for result in bare]):.2f} s elapsed; {len(bare)} rounds")
    rows = [[name, *figures(ratios_of(rounds, name, "cpu")), *figures(ratios_of(rounds, name, "seconds"))]
            for name in names]
    print_table(["over bare", "user+sys", "min", "max", "elapsed", "min", "max"], rows)
    print()


def scaled_work(bench, work):
    """Fewer or more passes; less than one is one of less."""
    passes = work.passes * bench.options.scale
    return Work(work.share * min(passes, 1), max(1, round(passes)))


def compare(bench, program, make_command, comparison):
    taking_part = contestants(bench, comparison)
    if len(taking_part) == 1:
        return
    work = scaled_work(bench, WORKS[program][comparison])
    rounds = race(bench, make_command(bench, work), taking_part)
    names = [contestant.name for contestant in taking_part[1:]]
    print_ratios(program, comparison, work, rounds, names)
    for name in names:
        ratios = ratios_of(rounds, name, "cpu")
        if ratios:
            bench.row(f"verifier: {program}, {comparison} work, {name}: user and system time over bare", median(ratios))


def run(bench):
    for program, make_command in commands(bench).items():
        for comparison in COMPARISONS:
            compare(bench, program, make_command, comparison)
