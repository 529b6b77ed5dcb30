"""I/O buffers: a file read and written with O_DIRECT from registered buffers, beside memory that is not registered, or
mapped and unmapped for each request."""

import collections
import os
import subprocess
import sys

from common import median, print_table

MIB = 1024
ROUNDS = 7
FORMS = ("plain", "pread", "registered", "mapped")

Pass = collections.namedtuple("Pass", "seconds cpu calls faults shootdowns")


def passes(output):
    """{(form, "read" or "write"): [a Pass each round]}"""
    found = collections.defaultdict(list)
    for line in output.splitlines():
        form, way, *figures = line.split()
        found[form, way].append(Pass(*map(float, figures)))
    return found


def both(found, form, field):
    """A figure of reading and writing together, for each round."""
    return [getattr(read, field) + getattr(write, field)
            for read, write in zip(found[form, "read"], found[form, "write"])]


def ratio(found, field):
    """Registered over plain: the median of the pairs."""
    return median([registered / plain
                   for registered, plain in zip(both(found, "registered", field), both(found, "plain", field))])


def table_row(found, form, size):
    speeds = [f"{size / median([one.seconds for one in found[form, way]]) / 1e6:.0f}" for way in ("read", "write")]
    numbers = [f"{median(both(found, form, field)):.0f}" for field in ("calls", "faults", "shootdowns")]
    return [form, *speeds, f"{median(both(found, form, 'cpu')):.3f}", *numbers]


def run_once(bench, mib):
    """A process for each round: how memory and file lie on the machine differs more than the forms do."""
    file = f"{bench.work}/iobuf.data"
    try:
        return subprocess.run([bench.program("bench_iobuf"), file, str(mib), "1"], env=bench.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        if os.path.exists(file):
            os.unlink(file)


def run(bench):
    mib = bench.scaled(MIB, least=16)
    output = ""
    for _ in range(ROUNDS):
        done = run_once(bench, mib)
        if done.returncode != 0:
            print(f"bench: iobuf is left out: {done.stderr.strip()}", file=sys.stderr)
            return
        output += done.stdout
    found = passes(output)
    print_table([f"{mib} MiB, 16 pieces of 64 KiB", "read MB/s", "write MB/s", "CPU s", "I/O calls", "faults", "shootdowns"],
                [table_row(found, form, mib << 20) for form in FORMS])
    bench.row("iobuf: throughput of registered buffers over plain ones", 1 / ratio(found, "seconds"), least=0.97)
    bench.row("iobuf: CPU time of registered buffers over plain ones", ratio(found, "cpu"), 1.00)
