"""
What docs/design.md and the style promise of the sources themselves: the ladder of includes, and sizes.

Usage: lint_test.py CASE ROOT
"""

import os
import re
import sys

# Lower modules never include higher ones.
LADDER = """base os text image maps cgroup lock fatal seal sizeclass space guard page segment metadata settings kept
            span tag side track thread figures account limit ahead quota nonpaged large heap mail extent frame site walk
            stack trace checked special watched watch harden blame range record tell trap inject sample systematic budget
            verify fork start shortcut free alloc block fast census pool store depth magazine chart inventory mark roots leak
            inquest lookaside condition iova common_buffer transfer uring iobuf tagpool scope bundle preload""".split()

# A module that calls up, and why: each is a step of a life that ends higher than it begins.
UPWARD = {
    ("shortcut.c", "alloc.h"): "who goes to special pool goes the long way",
    ("space.c", "page.h"): "areas are cut by the size of a descriptor",
    ("heap.c", "mail.h"): "a refill looks at its mail first",
    ("thread.c", "account.h"): "the end of a thread folds its tallies",
    ("thread.c", "heap.h"): "the end of a thread gives its pages away",
    ("thread.c", "mail.h"): "the end of a thread empties its mail",
    ("thread.c", "fork.h"): "the first call in a new address space adopts it",
    ("thread.c", "start.h"): "the first call of all builds the engine",
    ("start.c", "chart.h"): "the program says where its parts lie",
    ("verify.c", "inquest.h"): "the end of the program looks at all that is there",
}

# What tools know of the engine.
TOOLS_MAY_INCLUDE = {"census.h", "image.h", "leak.h"}

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 60
MAX_COLUMNS = 120
# Put together, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")

CHECKED = (".c", ".h", ".cc", ".py", ".sh", ".pml", ".build")
FAILURES = []


def fail(*words):
    print("FAILED:", *words)
    FAILURES.append(words)


def sources(root, *directories):
    for directory in directories:
        for at, below, files in os.walk(os.path.join(root, directory)):
            below[:] = [name for name in below if not name.startswith(("build", ".", "__"))]
            for file in sorted(files):
                if file.endswith(CHECKED):
                    path = os.path.join(at, file)
                    with open(path) as opened:
                        yield os.path.relpath(path, root), opened.read().split("\n")


def includes(lines):
    return [match[1] for match in (re.match(r'#include "([a-z_]+\.h)"', line) for line in lines) if match]


def module_of(file):
    name = os.path.splitext(os.path.basename(file))[0]
    return "os" if name == "os_linux" else name


def case_ladder(root):
    rank = {name: number for number, name in enumerate(LADDER)}
    seen = set()
    for file, lines in sources(root, "src"):
        name = os.path.basename(file)
        if not file.endswith((".c", ".h")):
            continue
        if module_of(file) not in rank:
            fail(file, "has no place in the ladder")
            continue
        for header in includes(lines):
            seen.add((name, header))
            if rank[module_of(header)] > rank[module_of(file)] and (name, header) not in UPWARD:
                fail(file, "includes", header, "which stands higher")
    for exception in sorted(set(UPWARD) - seen):
        fail("no longer needed in the list of upward includes:", *exception)
    for file, lines in sources(root, "src"):
        own = os.path.basename(file)[:-2] + ".h"
        if file.endswith(".c") and os.path.exists(os.path.join(root, "src", own)) and includes(lines)[:1] != [own]:
            fail(file, "does not include its own header first")


def case_tools(root):
    engine = {os.path.basename(file) for file, _ in sources(root, "src") if file.endswith(".h")}
    own = {os.path.basename(file) for file, _ in sources(root, "tools") if file.endswith(".h")}
    for file, lines in sources(root, "tools"):
        for header in includes(lines):
            if header in engine - own - TOOLS_MAY_INCLUDE:
                fail(file, "includes the engine's", header)


def functions(lines):
    """(name, number of lines) of C functions: from the line of the name to the brace in the first column."""
    begin = None
    for number, line in enumerate(lines):
        if line == "{" or (re.match(r"[a-zA-Z].*\)\s*\{$", line) and not line.startswith(("struct", "enum", "union"))):
            begin = number - (line == "{")
        elif line.startswith("}") and begin is not None:
            match = re.search(r"(\w+)\(", lines[begin])
            yield match[1] if match else lines[begin], number - begin + 1
            begin = None


EVERYTHING = ("src", "preload", "include", "tools", "tests", "bench", "examples", "man")


def case_sizes(root):
    longest = 0, ""
    for file, lines in sources(root, *EVERYTHING):
        if len(lines) > MAX_FILE_LINES:
            fail(file, "has", len(lines), "lines")
        if file.endswith((".c", ".h", ".cc")):
            for name, length in functions(lines):
                longest = max(longest, (length, f"{file}: {name}"))
                if length > MAX_FUNCTION_LINES:
                    fail(file, name, "has", length, "lines")
    print("longest function:", *longest)
    if longest[0] < 10:
        fail("no function was seen at all")


def case_text(root):
    for file, lines in sources(root, *EVERYTHING):
        for number, line in enumerate(lines, 1):
            where = f"{file}:{number}"
            if "\t" in line:
                fail(where, "has a tab")
            if file.endswith((".c", ".h")) and len(line) > MAX_COLUMNS:
                fail(where, "has", len(line), "columns")
            if line != line.rstrip():
                fail(where, "ends in blanks")
            if UNFINISHED.search(line):
                fail(where, "is not finished:", line.strip())
        if lines[-1] != "" or lines[-2:] == ["", ""]:
            fail(file, "does not end in one newline")


def main():
    case, root = sys.argv[1:]
    globals()["case_" + case](root)
    sys.exit(1 if FAILURES else 0)


main()
