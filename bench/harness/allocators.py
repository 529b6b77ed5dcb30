"""Own benches: time and peak memory of the own programs, under tagpool and four other allocators."""

import workloads
from common import geometric_mean, medians, print_table


def ratios_to_best(of_programs):
    """{program: {name: ratio to the least}}"""
    return {program: {name: value / min(values.values()) for name, value in values.items()}
            for program, values in of_programs.items() if values}


def means(ratios, names):
    """Geometric mean of each contestant, of the programs that it ended."""
    return {name: geometric_mean([values[name] for values in ratios.values() if name in values]) for name in names}


def table_row(program, seconds, ratios, names):
    cells = [f"{ratios[program][name]:.2f}" if name in ratios[program] else "crashed" for name in names]
    return [program, *cells, f"{min(seconds[program].values()):.3f} s"]


def print_times(seconds, ratios, peaks, names):
    rows = [table_row(program, seconds, ratios, names) for program in ratios]
    rows.append(["geometric mean, time"] + [f"{value:.3f}" for value in means(ratios, names).values()] + [""])
    rows.append(["geometric mean, peak RSS"] + [f"{value:.3f}" for value in means(peaks, names).values()] + [""])
    print_table(["time, ratio to the best", *names, "the best took"], rows)


def over_best_peer(of_names):
    return of_names["tagpool"] / min(value for name, value in of_names.items() if name != "tagpool")


def run(bench):
    contestants = bench.allocators()
    results = bench.race(workloads.own_programs(bench), contestants)
    seconds = medians(results, "seconds")
    ratios = ratios_to_best(seconds)
    peaks = ratios_to_best(medians(results, "peak_kib"))
    print_times(seconds, ratios, peaks, list(contestants))
    print_table(["peak RSS, ratio to the least", *contestants],
                [[program, *(f"{values.get(name, float('nan')):.2f}" for name in contestants)]
                 for program, values in peaks.items()])
    bench.row("own benches: time, over the best single allocator", over_best_peer(means(ratios, contestants)), 1.00)
    bench.row("own benches: peak RSS, over the best single allocator", over_best_peer(means(peaks, contestants)))
