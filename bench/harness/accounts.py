"""The price of accounts: this module against the same one built without the counters."""

import callgrind
import workloads
from common import geometric_mean, median, medians, number_after, print_table

# The calls share their code with these names; callgrind takes one of them.
FUNCTIONS = {
    "malloc": ["malloc", "__libc_malloc"],
    "free": ["free", "__libc_free", "cfree"],
}
BARE = {"malloc": ["bare_pop"], "free": ["bare_push"]}


def instructions(bench):
    if not callgrind.is_there():
        print("instructions are left out: there is no valgrind")
        return
    program = bench.program("bench_hot_count")
    counts = {
        "with accounts": callgrind.per_call(bench, program, bench.module, FUNCTIONS),
        "without accounts": callgrind.per_call(bench, program, bench.module_without, FUNCTIONS),
        "bare pop and push": callgrind.per_call(bench, program, None, BARE),
    }
    print_table(["instructions of one hot call", *FUNCTIONS],
                [[name, *(f"{value:.0f}" for value in values.values())] for name, values in counts.items()])
    for name, values in counts.items():
        for what, value in values.items():
            bench.row(f"fast paths: instructions of {what}, {name}", value)


def hot_pair(bench):
    """Several processes, for where the libraries come to lie is decided once in each; each is first in half of them."""
    ratios, times = [], {"with accounts": [], "without accounts": []}
    for i in range(bench.options.rounds * 2):
        modules = [bench.module, bench.module_without]
        result = bench.measure([bench.program("bench_hot_pair"), *modules[::1 if i % 2 == 0 else -1],
                                str(bench.scaled(41, least=5))])
        if result is None:
            continue
        first, second = (number_after(word, result.output) for word in ("first_ns", "second_ns"))
        ratio = number_after("ratio", result.output)
        ours, without = (first, second) if i % 2 == 0 else (second, first)
        times["with accounts"].append(ours)
        times["without accounts"].append(without)
        ratios.append(ratio if i % 2 == 0 else 1 / ratio)
    for name, values in times.items():
        bench.row(f"price of accounts: hot free and malloc of 64 bytes, {name}", median(values), unit=" ns")
    bench.row("price of accounts: hot free and malloc, ratio", median(ratios))


def over_programs(bench, what, programs, most=None):
    """Geometric mean of time with accounts over time without."""
    if not programs:
        return
    results = bench.race(programs, {"with": bench.module, "without": bench.module_without})
    seconds = {name: values for name, values in medians(results, "seconds").items() if len(values) == 2}
    ratios = {name: values["with"] / values["without"] for name, values in seconds.items()}
    print_table(["seconds", "with", "without", "ratio"],
                [[name, f"{values['with']:.3f}", f"{values['without']:.3f}", f"{ratios[name]:.3f}"]
                 for name, values in seconds.items()])
    bench.row(f"price of accounts: time over {what}, geometric mean", geometric_mean(list(ratios.values())), most)


def run(bench):
    instructions(bench)
    hot_pair(bench)
    over_programs(bench, "the own programs", workloads.own_programs(bench))
    over_programs(bench, "the programs given", workloads.extra_programs(bench), most=1.02)
