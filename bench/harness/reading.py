"""Reading: how long a reader takes over a large segment, and whether the program it looks at notices."""

import shutil
import subprocess
import tempfile
import threading

import workloads
from common import median

ROWS = 1000000
READS = 21
READS_A_SECOND = 10


def segment_directory(bench):
    """In shared memory where there is some, as real segments are."""
    try:
        return tempfile.mkdtemp(prefix="tagpool-bench.", dir="/dev/shm")
    except OSError:
        return tempfile.mkdtemp(dir=bench.work)


def read_once(bench, directory):
    result = bench.measure([bench.tagpool, "top", "--once"], extra={"TAGPOOL_SEGMENT_DIR": directory})
    if result is not None and "libone.so.1" not in result.output:
        bench.note_crash(["tagpool", "top", "--once"], None, "0, but the rows are not there", result.output)
        return None
    return result


def read_times(bench, directory):
    """Milliseconds of each read; ends with the first that fails, for the next ones would fail alike."""
    times = []
    for _ in range(READS):
        result = read_once(bench, directory)
        if result is None:
            break
        times.append(result.seconds * 1e3)
    return times


def large_segment(bench):
    maker = f"{bench.build}/tests/tools/segment_maker"
    directory = segment_directory(bench)
    process = subprocess.Popen([maker, f"--rows={ROWS}", "--program=segment_maker", directory, "rows"],
                               stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() == "":
            bench.note_crash([maker], None, process.wait(), "no segment")
            return
        times = read_times(bench, directory)
        if times:
            bench.row(f"reading: tagpool top --once over {ROWS} pages in use", median(times), 50, " ms")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


class Reader(threading.Thread):
    """Runs `tagpool top --once` ten times a second until it is told to stop."""

    def __init__(self, bench):
        super().__init__()
        self.bench = bench
        self.done = threading.Event()
        self.reads = 0

    def run(self):
        while not self.done.wait(1 / READS_A_SECOND):
            subprocess.run([self.bench.tagpool, "top", "--once"], env=self.bench.environment(), check=False,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.reads += 1


def time_with_reader(bench, program):
    reader = Reader(bench)
    reader.start()
    result = bench.measure(program.command, bench.module)
    reader.done.set()
    reader.join()
    return result


def effect_on_target(bench):
    program = workloads.Program("churn", [bench.program("bench_churn"), str(bench.options.scale)])
    alone, watched = [], []
    for i in range(bench.options.rounds * 2):
        turns = [lambda: alone.append(bench.measure(program.command, bench.module)),
                 lambda: watched.append(time_with_reader(bench, program))]
        for turn in turns[::1 if i % 2 == 0 else -1]:
            turn()
    alone, watched = ([bench.timed(program, result).seconds for result in results if result is not None]
                      for results in (alone, watched))
    if not alone or not watched:
        return
    print(f"  churn alone {min(alone):.3f} to {max(alone):.3f} s, watched {min(watched):.3f} to {max(watched):.3f} s")
    # "No measurable effect": less than what two medians of the same thing differ by on a quiet machine.
    bench.row(f"reading: time of churn read {READS_A_SECOND} times a second over churn alone",
              median(watched) / median(alone), 1.02)


def run(bench):
    large_segment(bench)
    effect_on_target(bench)
