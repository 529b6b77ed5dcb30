"""Instructions that functions took themselves, from callgrind's file."""

import re
import shutil
import subprocess

FUNCTION = re.compile(r"^c?fn=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^(?:[0-9]+|[+-][0-9]+|\*) (\d+)$")


def self_costs(path):
    """{function: instructions} without what the functions it calls took."""
    names, costs = {}, {}
    current, is_call = None, False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            function = FUNCTION.match(line)
            if function is not None:
                if function[2] is not None:
                    names[function[1]] = function[2]
                if line.startswith("fn="):
                    current = names[function[1]]
                continue
            if line.startswith("calls="):
                is_call = True
                continue
            cost = COST.match(line)
            if cost is not None and not is_call and current is not None:
                costs[current] = costs.get(current, 0) + int(cost[1])
            is_call = False
    return costs


def count(bench, command, library):
    output = f"{bench.work}/callgrind.out"
    extra = {"LD_PRELOAD": library} if library else {}
    subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", *command],
                   env=bench.environment(extra), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    return self_costs(output)


def is_there():
    return shutil.which("valgrind") is not None


def per_call(bench, program, library, functions):
    """Instructions of one hot call of each: {what: number}; functions {what: names it may go by}."""
    few, many = 1000, 11000
    less = count(bench, [program, str(few)], library)
    more = count(bench, [program, str(many)], library)
    return {what: sum(more.get(name, 0) - less.get(name, 0) for name in names) / (many - few)
            for what, names in functions.items()}
