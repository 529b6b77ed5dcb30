"""
What docs/finding-bugs.md says of the programs in examples/bugs is so.

Usage: bugs_test.py GUIDE SOURCES TAGPOOL PRELOAD PROGRAMS     SOURCES and PROGRAMS are folders

Of the guide:

    ```c          lines that stand in the program that was named last, in this order
    ```console    after "$ " a command for a shell, then lines that it prints; "..." stands for any lines, which may also come
                  before the first and after the last ones of a command.  Commands of one block share a shell, and end
                  with it.  With "any-numbers" behind it, numbers may be others.

Each program is named by the guide and has such a block.  What differs from run to run or from build to build (addresses, process
numbers, folders, numbers of frames) is left out of the comparison, and so is how many blanks stand in a row.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple

Block = namedtuple("Block", "line kind lines source")

FENCE = re.compile(r"```(\w+)( any-numbers)?$")
PROGRAM = re.compile(r"\]\(\.\./examples/bugs/(\w+\.cc?)\)")
TRIES = 3  # commands that look at a program which runs may come too early on a busy machine


def read_blocks(guide):
    blocks, source, block = [], None, None
    with open(guide) as file:
        for number, line in enumerate(file.read().split("\n"), 1):
            fence = FENCE.match(line)
            if block is None and fence:
                block = Block(number, fence[1] + (fence[2] or ""), [], source)
            elif line == "```":
                blocks.append(block)
                block = None
            elif block is not None:
                block.lines.append(line)
            elif PROGRAM.search(line):
                source = PROGRAM.findall(line)[-1]
    return blocks


def in_order(wanted, lines):
    """Whether all that is wanted stands in the lines, in order; lines in between do not matter."""
    rest = iter(lines)
    return all(line in rest for line in wanted)


# --- what is compared ------------------------------------------------------------------------------------------------


def plain(text, homes, any_numbers):
    """A line without what differs from run to run."""
    for home, name in homes:
        text = text.replace(home, name)
    text = re.sub(r"[^\s(]*examples/bugs/", "", text)
    text = re.sub(r"0[xX][0-9a-fA-F]{9,16}\b", "ADDRESS", text)
    text = re.sub(r"^ *[0-9a-f]{12}(?=[ >])", "ADDRESS", text)
    text = re.sub(r"\b(pid|thread) \d+", r"\1 N", text)
    text = re.sub(r"^(\w+) \(\d+\)", r"\1 (N)", text)
    text = re.sub(r"^ +#\d+ ", "# ", text)
    if any_numbers:
        text = re.sub(r"(?<![:.\w])\d+(\.\d+)?\b", "N", text)
    return " ".join(text.split())


def constant_parameters(line):
    """Parameters of a stop are addresses or not; small ones are compared."""
    return re.sub(r"0x0{8}([0-9A-F]{8})\b", r"\1", line) if line.startswith("*** STOP") else line


def matches(wanted, lines):
    """The lines are those that are wanted, where "..." stands for any number of them."""
    if wanted in ([], ["..."]):
        return bool(wanted) or not lines
    if wanted[0] == "...":
        return any(matches(wanted[1:], lines[skipped:]) for skipped in range(len(lines) + 1))
    return bool(lines) and wanted[0] == lines[0] and matches(wanted[1:], lines[1:])


# --- running ---------------------------------------------------------------------------------------------------------


def shell(script, folder, env):
    """What a script prints; all that it leaves behind is ended."""
    with open(os.path.join(folder, "output"), "w+", errors="replace") as output:
        process = subprocess.Popen(["sh", "-c", script], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            print("took too long")
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        output.seek(0)
        return output.read().split("\n")


def try_block(block, folder, env, homes):
    """None, or what was printed instead."""
    commands = [line[2:] for line in block.lines if line.startswith("$ ")]
    wanted = ["..." if line.startswith("$ ") else constant_parameters(line) for line in block.lines]
    # Programs that were ended are told of by some shells.
    got = [constant_parameters(line) for line in shell("\n".join(commands), folder, env) if line != "Aborted"]
    comparable = [[plain(line, homes, "any-numbers" in block.kind) for line in lines if line.strip()]
                  for lines in (wanted, got)]
    return None if matches(comparable[0] + ["..."], comparable[1]) else got


def check_commands(block, folder, env, homes):
    print(f"line {block.line}: " + "; ".join(line[2:] for line in block.lines if line.startswith("$ ")))
    for _ in range(TRIES):
        got = try_block(block, folder, env, homes)
        if got is None:
            return True
    print("FAILED: it printed\n" + "\n".join(got))
    return False


def check_block(block, sources, folder, env, homes):
    if block.kind == "c":
        with open(os.path.join(sources, block.source)) as file:
            if in_order(block.lines, file.read().split("\n")):
                return True
        print(f"FAILED: line {block.line}: not in {block.source}")
        return False
    program = os.path.splitext(block.source)[0]
    if block.source.endswith(".cc") and not os.path.exists(os.path.join(folder, program)):
        print(f"line {block.line}: skipped, {program} was not built")
        return True
    return check_commands(block, folder, env, homes)


def check_all_are_shown(blocks, sources):
    shown = {block.source for block in blocks if block.kind.startswith("console")}
    there = {name for name in os.listdir(sources) if name.endswith((".c", ".cc"))}
    for name in sorted(there ^ shown):
        print(f"FAILED: {name} is only in one of guide and examples")
    return there == shown


def prepare(folder, tagpool, preload, programs):
    """A folder with all programs of the guide in it, and an environment in which nothing else is kept."""
    for name in os.listdir(programs):
        if os.access(os.path.join(programs, name), os.X_OK) and os.path.isfile(os.path.join(programs, name)):
            os.symlink(os.path.join(programs, name), os.path.join(folder, name))
    os.mkdir(os.path.join(folder, "bin"))
    for name in ("tagpool", "gflags"):
        os.symlink(tagpool, os.path.join(folder, "bin", name))
    env = dict(os.environ, PATH=os.path.join(folder, "bin") + ":" + os.environ["PATH"], LC_ALL="C",
               TAGPOOL_PRELOAD=preload, XDG_CONFIG_HOME=os.path.join(folder, "config"),
               XDG_STATE_HOME=os.path.join(folder, "state"))
    for name in ("LD_PRELOAD", "TAGPOOL_VERIFY", "TAGPOOL_REPORT", "TAGPOOL_TAGS"):
        env.pop(name, None)
    return env, [(env["XDG_CONFIG_HOME"], "~/.config")]


def main():
    guide, sources, tagpool, preload, programs = map(os.path.abspath, sys.argv[1:])
    blocks = read_blocks(guide)
    with tempfile.TemporaryDirectory() as folder:
        env, homes = prepare(folder, tagpool, preload, programs)
        results = [check_block(block, sources, folder, env, homes) for block in blocks]
    results.append(check_all_are_shown(blocks, sources))
    sys.exit(0 if all(results) else 1)


main()
