"""
Programs under the preload module where something is missing or closed: they run on.

Usage: hostile_test.py CASE PRELOAD [PARTS...]      exits with 77 where the case cannot be made here
"""

import os
import resource
import shutil
import subprocess
import sys

SKIP = 77
MIB = 1 << 20

SQL = """CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, 'row ' || i FROM n; SELECT count(*), sum(a), max(b) FROM t;"""
PROGRAMS = [
    ["bash", "-c", "for i in {1..20}; do x=$(echo $i | tr 1 2); (y=$x; echo -n \"$y \"); done; echo"],
    ["sqlite3", ":memory:", SQL],
    ["perl", "-e", "my %h; $h{$_} = 'x' x ($_ % 100) for 1..20000; print scalar(keys %h), qq{\\n}"],
    [sys.executable, "-S", "-c", "print(len(str([{i: 'x' * (i % 50)} for i in range(20000)])))"],
]
EXHAUST = [sys.executable, "-S", "-c", """
kept = []
try:
    while True:
        kept.append(bytearray(100000))
except MemoryError:
    count = len(kept)
    del kept
    print("full", count > 100, len(str(list(range(10000)))))
"""]


class Skipped(Exception):
    pass


def run(command, preload, before=None, **settings):
    env = dict(os.environ, LC_ALL="C.UTF-8", **settings)
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "MALLOC_PERTURB_"):
        env.pop(name, None)
    if preload:
        env["LD_PRELOAD"] = preload
    done = subprocess.run(command, env=env, capture_output=True, text=True, preexec_fn=before, timeout=50)
    return done.returncode, done.stdout, done.stderr


def compare(what, command, preload, before=None, wrap=()):
    """The same as without the module.  `wrap` goes before the command, without the module."""
    if shutil.which(command[0]) is None:
        print("SKIPPED", what, command[0], "is not installed")
        return True
    bare = run([*wrap, *command], None, before)
    under = run([*wrap, "env", "LD_PRELOAD=" + preload, *command], None, before)
    print("ok    " if bare == under else "FAILED", what, os.path.basename(command[0]), bare[:2] if bare == under else
          f"got {under}, should be {bare}")
    return bare == under


def limit(which, value):
    return lambda: resource.setrlimit(which, (value, value))


def case_address_space(preload):
    good = True
    for size in (200, 300, 512, 4096):
        before = limit(resource.RLIMIT_AS, size * MIB)
        # To use up gigabytes would take long and tell no more.
        for program in [*PROGRAMS, EXHAUST] if size < 512 else PROGRAMS:
            good &= compare(f"RLIMIT_AS {size} MiB", program, preload, before)
    return good


def case_file_size(preload):
    return all([compare("RLIMIT_FSIZE 0", program, preload, limit(resource.RLIMIT_FSIZE, 0)) for program in PROGRAMS])


def in_namespace(what, mount, preload, census_print):
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        raise Skipped("no mount namespaces for us")
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode != 0:
        raise Skipped("cannot " + mount)
    wrap = ["unshare", "-m", "sh", "-c", mount + '; exec "$@"', "sh"]
    good = all([compare(what, program, preload, wrap=wrap) for program in PROGRAMS])
    return good & told_or_nothing(what, mount, preload, census_print)


HOLD = """
import subprocess, sys
kept = [bytearray(i) for i in range(5000)]
done = subprocess.run([sys.argv[1], str(__import__("os").getpid())], env={}, capture_output=True, text=True)
print(done.returncode, done.stdout.split("\\n")[0])
"""


def told_or_nothing(what, mount, preload, census_print):
    """A reader finds no segment, or one that it cannot read for lack of room, or one, complete or not, that says so."""
    status, out, err = run(["unshare", "-m", "sh", "-c", mount + '; exec env LD_PRELOAD="$0" "$@"', preload,
                            sys.executable, "-S", "-c", HOLD, census_print], None)
    good = status == 0 and out.strip() in ("1", "4", "0 flags\t1", "0 flags\t0")
    print("ok    " if good else "FAILED", what, "reader:", status, repr(out), err[-300:])
    return good


def run_where_name_is_taken(make, preload, census_print):
    """The shell's number is the program's: exec keeps it.  A killed process of that number may have left its file."""
    script = f'name=/dev/shm/tagpool.{os.geteuid()}.$$; rm -f $name; {make} $name && exec env LD_PRELOAD="$0" "$@"'
    process = subprocess.Popen(["sh", "-c", script, preload, sys.executable, "-S", "-c", HOLD, census_print],
                               stdout=subprocess.PIPE, text=True)
    name = f"/dev/shm/tagpool.{os.geteuid()}.{process.pid}"
    try:
        return process.communicate(timeout=50)[0]
    finally:
        process.kill()
        (os.rmdir if os.path.isdir(name) else os.unlink)(name)


def case_taken_name(preload, census_print):
    """What has the name is no segment: a pipe that nobody writes to, a link, a folder."""
    good = True
    for make in ("mkfifo", "ln -s /dev/zero", "mkdir"):
        out = run_where_name_is_taken(make, preload, census_print)
        print("ok    " if out.startswith("0 ") else "FAILED", "name taken by", make, repr(out))
        good &= out.startswith("0 ")
    return good


def case_small_shm(preload, census_print):
    return all([in_namespace(f"/dev/shm of {size}k", f"mount -t tmpfs -o size={size}k none /dev/shm", preload,
                             census_print) for size in (4, 16, 64, 256)])


def case_read_only_shm(preload, census_print):
    return in_namespace("/dev/shm read-only", "mount -t tmpfs -o ro none /dev/shm", preload, census_print)


def case_no_shm(preload, census_print):
    mount = "cp -a /dev/null /tmp/.null.$$; mount -t tmpfs none /dev && mv /tmp/.null.$$ /dev/null"
    return in_namespace("no /dev/shm", mount, preload, census_print)


def case_closed(preload, program):
    status, _, _ = run(["sh", "-c", f"exec env LD_PRELOAD='{preload}' '{program}' <&- >&- 2>&-"], None)
    print("ok    " if status == 0 else "FAILED", "descriptors closed: status", status)
    return status == 0


def case_hook(preload, hook):
    good = True
    for both in (f"{hook}:{preload}", f"{preload}:{hook}"):
        for program in PROGRAMS:
            good &= compare("with a library that hooks mmap", program, both)
    return good


def succeed(what, command, preload, **settings):
    status, out, err = run(command, preload, **settings)
    print("ok    " if status == 0 else "FAILED", what, status, out.strip()[-200:], err.strip()[-300:])
    return status == 0


def case_late_destructors(preload, program, library):
    return succeed("late destructors, bare", [program, library], None) and \
        succeed("late destructors", [program, library], preload) and \
        succeed("late destructors, by site", [program, library], preload, TAGPOOL_TAGS="site")


def case_static_tls(_preload, program, library, *pieces):
    return succeed("static TLS exhausted", [program, library, *pieces], None)


def case_both_faces(preload, program):
    return succeed("library alone", [program, "bare"], None) and \
        succeed("library under the module", [program, "preload"], preload) and \
        succeed("by site", [program, "preload"], preload, TAGPOOL_TAGS="site")


def case_overcommit(preload, program):
    path = "/proc/sys/vm/overcommit_memory"
    with open(path) as file:
        usual = file.read().strip()
    try:
        with open(path, "w") as file:
            file.write("2")
    except OSError as error:
        raise Skipped(f"{path}: {error}")
    try:
        good = all([compare("vm.overcommit_memory 2", command, preload) for command in PROGRAMS])
        good &= succeed("many children, bare", [program, "60"], None)
        return good & succeed("many children", [program, "60"], preload)
    finally:
        with open(path, "w") as file:
            file.write(usual)


def main():
    case, preload, *parts = sys.argv[1:]
    try:
        good = globals()["case_" + case](os.path.abspath(preload), *map(os.path.abspath, parts))
    except Skipped as reason:
        print("SKIPPED:", reason)
        sys.exit(SKIP)
    sys.exit(0 if good else 1)


main()
