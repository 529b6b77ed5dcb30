"""Memory of tags: what it costs to keep a thousand of them apart."""

import workloads
from common import median, number_after

LIVE_MEGABYTES = 128
TAGS = 1000
THREADS = 64


def replay_peak(bench, tag_count):
    """Peak KiB without the replaying program's own tables, and MiB that were live then."""
    command = [bench.program("bench_tagged_replay"), workloads.trace(bench, "python3"), str(tag_count),
               str(LIVE_MEGABYTES)]
    result = bench.measure(command)
    if result is None:
        return None
    print(f"  {tag_count} tags: peak RSS {result.peak_kib / 1024:.1f} MiB, of which tables "
          f"{number_after('table_kib', result.output) / 1024:.1f}; live at the peak "
          f"{number_after('live_mib', result.output):.1f} MiB; {result.seconds:.2f} s")
    return result.peak_kib - number_after("table_kib", result.output)


def run(bench):
    # Peaks hardly differ from run to run: three will do.
    pairs = [(replay_peak(bench, TAGS), replay_peak(bench, 1)) for _ in range(min(3, bench.options.rounds))]
    whole = [many / one for many, one in pairs if many and one]
    if whole:
        bench.row(f"memory of tags: RSS with {TAGS} tags over RSS with one", median(whole), 1.15)
    result = bench.measure([bench.program("bench_tagged_threads"), str(THREADS), str(TAGS)])
    if result is not None:
        bench.row(f"memory of tags: RSS of {THREADS} threads with one block of each of {TAGS} tags",
                  number_after("resident_kib", result.output) / 1024, 64, " MiB")
