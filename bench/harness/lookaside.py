"""Lookaside lists: a hot pair of calls beside the malloc and free of other allocators, and a bare free list."""

import subprocess

from common import print_table

ROUNDS = 201


def run(bench):
    others = [f"{name}={library}" for name, library in bench.allocators().items() if name not in ("glibc", "tagpool")]
    # Allocators that are loaded late want room for their thread-local storage.
    room = bench.environment({"GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=65536"})
    command = [bench.program("bench_lookaside_pair"), str(bench.scaled(ROUNDS, least=11)), *others]
    lines = subprocess.run(command, check=True, env=room, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    ns = {name: float(value) for name, value in (line.split() for line in lines if line)}
    print_table(["ns of a hot free and alloc", *ns], [["64 bytes", *(f"{value:.2f}" for value in ns.values())]])
    mallocs = [value for name, value in ns.items() if name not in ("lookaside", "bare")]
    bench.row("lookaside: pair over the best malloc and free", ns["lookaside"] / min(mallocs), 0.70)
    bench.row("lookaside: pair over a bare free list's", ns["lookaside"] / ns["bare"], 1.50)
