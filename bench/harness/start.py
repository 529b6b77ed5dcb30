"""Start-up: what a preloaded allocator adds to a program that does nothing."""

from common import Program, medians, print_table

RUNS = 200


def run(bench):
    contestants = bench.allocators()
    contestants = {"bare" if name == "glibc" else name: library for name, library in contestants.items()}
    programs = [Program("/bin/true", ["/bin/true"]), Program("one malloc", [bench.program("bench_one_malloc")])]
    results = bench.race(programs, contestants, bench.scaled(RUNS, least=10))
    times = medians(results, "cpu")
    print_table(["user and system time, ms", *contestants],
                [[program, *(f"{values[name] * 1e3:.3f}" for name in contestants)]
                 for program, values in times.items()])
    true = times["/bin/true"]
    others = [value for name, value in true.items() if name not in ("bare", "tagpool")]
    bench.row("start-up: /bin/true under tagpool over bare", true["tagpool"] / true["bare"], 1.25)
    if others:
        bench.row("start-up: /bin/true under tagpool over the best other preload", true["tagpool"] / min(others), 1.00)
