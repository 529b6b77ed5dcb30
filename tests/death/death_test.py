"""
Run a program that breaks one rule; it must end by SIGABRT after the report that its own source expects (rules.py).

Usage: death_test.py SOURCE PROGRAM PRELOAD     PRELOAD may be "-", or several with ":" between them
"""

import glob
import os
import re
import signal
import subprocess
import sys

import guards
import rules


def run(command, env):
    """(status, stderr); the segment of a program that was killed stays behind, and is taken away here."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    text = process.stderr.read()
    status = process.wait()
    for left in glob.glob(f"/dev/shm/tagpool.*.{process.pid}"):
        os.unlink(left)
    return status, text


def check(program, env, expected):
    status, text = run([program], env)
    print(text, end="")
    if status != -signal.SIGABRT:
        raise SystemExit(f"FAILED: ended with {status}, not by SIGABRT")
    table = rules.read()
    rests = [rest for rest in (rules.rest_of_stop(text, table[name]) for name in expected.rules) if rest is not None]
    if not rests:
        raise SystemExit(f"FAILED: not one line in the original's form and one sentence for {expected.rules}")
    if re.match(expected.pattern, rests[0], re.DOTALL) is None:
        raise SystemExit(f"FAILED: does not match {expected.pattern}")
    # Nobody to read the report: the program ends all the same.
    status, _ = run(["/bin/sh", "-c", 'exec "$0" 2>&-', program], env)
    if status != -signal.SIGABRT:
        raise SystemExit(f"FAILED: with stderr closed ended with {status}")


def main():
    source, program, preload = sys.argv[1:]
    expected = rules.expected(source)
    if expected is None:
        raise SystemExit(f"FAILED: {source} does not say what it expects")
    env = dict(os.environ, TAGPOOL_TAGS="module")
    for name in ("TAGPOOL_VERIFY", "TAGPOOL_REPORT"):
        env.pop(name, None)
    if preload != "-":
        env["LD_PRELOAD"] = ":".join(map(os.path.abspath, preload.split(":")))
    if not expected.verify:
        check(program, env, expected)
    for words in [words for line in expected.verify for words in guards.each(line)]:
        print(f"TAGPOOL_VERIFY={words!r}")
        check(program, dict(env, TAGPOOL_VERIFY=words), expected)


main()
