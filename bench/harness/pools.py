"""What the six tips recommend beside what they replace: scopes, bundles; and what limits and quotas cost."""

import subprocess

from common import print_table

ROUNDS = 201


def run(bench):
    command = [bench.program("bench_pools"), str(bench.scaled(ROUNDS, least=11))]
    lines = subprocess.run(command, check=True, env=bench.environment(), stdout=subprocess.PIPE, text=True).stdout
    ns = {name: float(value) for name, value in (line.split() for line in lines.splitlines())}
    bytes_of = {name: ns.pop(name) for name in ("apart", "together")}
    print_table(["ns", *ns], [["a block, or three", *(f"{value:.1f}" for value in ns.values())]])
    bench.row("pools: a block of a scope over one allocated and freed by itself", ns["scope"] / ns["single"])
    bench.row("pools: a bundle of three over three blocks, time", ns["bundle"] / ns["three"])
    bench.row("pools: a bundle of three over three blocks, bytes", bytes_of["together"] / bytes_of["apart"])
    bench.row("pools: a pair of calls with a limit far away over one without", ns["far"] / ns["none"])
    bench.row("pools: near its limit", ns["near"] / ns["none"])
    bench.row("pools: charged to an account under another", ns["charged"] / ns["none"])
