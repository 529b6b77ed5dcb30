"""
Accounts to the unit: what a program is known to have done against what readers see while it stands still.

Usage: exact_test.py CASE PRELOAD CENSUS_PRINT TAGPOOL PROGRAM [glib|LIBRARIES...]     TAGPOOL may be "-"
"""

import sys
import tempfile

import held

FAILURES = []


def expect(what, got, expected):
    print("ok    " if got == expected else "FAILED", what, "got", got, "expected", expected)
    if got != expected:
        FAILURES.append(what)


def check(command, preload, found, expected):
    """expected: module -> (allocs, frees); by module, and by site."""
    for tags in (None, "site"):
        with held.Held(command, preload, TAGPOOL_TAGS=tags) as program:
            for reader, read in found:
                rows = read(program.process.pid)
                for module, counts in expected.items():
                    if reader == "tagpool top" and tags == "site":
                        continue  # it names sites as it likes: the counts are those of the other reader
                    expect(f"{module} by {tags or 'module'}, {reader}", held.of_module(rows, module)[:2], counts)
                if tags == "site" and reader == "census":
                    expect("sites are named", any("+0x" in name for name in rows), True)


def case_million(preload, found, program, _glib):
    check([program], preload, found, {"million": (1000000, 400000)})


def counts(count, glib):
    """What words.c and words_string.cc do."""
    allocs = count + count + glib * count + 2 * count
    frees = (count + 1) // 2 + count + glib * ((count + 2) // 3) + 2 * ((count + 3) // 4)
    return allocs, frees


def case_two_libraries(preload, found, program, glib):
    first, second = 30001, 17
    with tempfile.NamedTemporaryFile("w") as lines:
        lines.write("".join(f"line {i}\n" for i in range(first + second)))
        lines.flush()
        check([program, lines.name, str(first), str(second)], preload, found,
              {"libfirst-words.so": counts(first, glib), "libsecond-words.so": counts(second, glib)})


def case_opened_and_closed(preload, found, program, *libraries):
    check([program, *libraries], preload, found,
          {"libfirst-words-c.so": (5000, 2500), "libsecond-words-c.so": (3000, 1500)})


def main():
    case, preload, census_print, tagpool, program, *rest = sys.argv[1:]
    found = held.readers(census_print, None if tagpool == "-" else tagpool)
    if case == "opened_and_closed":
        case_opened_and_closed(preload, found, program, *rest)
    else:
        {"million": case_million, "two_libraries": case_two_libraries}[case](preload, found, program, int("glib" in rest))
    sys.exit(1 if FAILURES else 0)


main()
