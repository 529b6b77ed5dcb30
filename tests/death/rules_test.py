"""
Every rule of include/tagpool/rules.h has a death test, and no death test expects a rule that is not there.

Usage: rules_test.py SOURCE...
"""

import os
import sys

import rules


def main():
    table = rules.read()
    tested = {}
    failures = []
    for source in sys.argv[1:]:
        expected = rules.expected(source)
        for name in expected.rules if expected else []:
            # Where either of two will do, none of them is shown to work.
            if len(expected.rules) == 1:
                tested.setdefault(name, []).append(os.path.basename(source))
            if name not in table:
                failures.append(f"{source} expects {name}, which is no rule")
        if expected is None:
            failures.append(f"{source} does not say what it expects")
    codes = rules.codes()
    if codes != sorted(codes):
        failures.append("the stop codes do not stand in the order of their numbers")
    for name in table:
        print(f"{name}: {len(tested.get(name, []))} tests")
        if name not in tested:
            failures.append(f"{name} has no test")
    for failure in failures:
        print("FAILED:", failure)
    sys.exit(1 if failures else 0)


main()
