"""
A real program with the malloc family replaced: the same output and status as without, by module and by site; or under
the verifier, in each of the ways that are given.

Usage: program_test.py PROGRAM PRELOAD [VERIFY...]      exits with 77 where the program is not installed
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import guards

SKIP = 77


class Run:
    """One run of a scenario: a directory of its own, and what was said in it."""

    def __init__(self, directory, preload, share, settings):
        self.directory = directory
        self.env = dict(os.environ, HOME=directory, TMPDIR=directory, LC_ALL="C.UTF-8", PYTHONHASHSEED="0",
                        GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_DATE="2020-01-01T00:00:00Z",
                        GIT_COMMITTER_DATE="2020-01-01T00:00:00Z")
        for name in ("LD_PRELOAD", "TAGPOOL_TAGS", "TAGPOOL_VERIFY", "LD_LIBRARY_PATH", "MALLOC_PERTURB_"):
            self.env.pop(name, None)
        if preload:
            self.env["LD_PRELOAD"] = preload
        self.env.update(settings)
        self.share = share
        self.said = []

    def some(self, number):
        """So much of what is usual; the verifier has its price."""
        return number // self.share

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def __call__(self, *command, stdin=None):
        done = subprocess.run(command, input=stdin, capture_output=True, cwd=self.directory, env=self.env, text=True,
                              timeout=100)
        # Directories differ from run to run.
        texts = [text.replace(self.directory, "DIR") for text in (done.stdout, done.stderr)]
        self.said.append((command[0], done.returncode, *texts))
        return texts[0]


# --- the programs --------------------------------------------------------------------------------------------------


def sqlite3(run):
    run("sqlite3", "test.db", stdin=f"""
        CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, value INT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {run.some(100000)})
        INSERT INTO item SELECT i, printf('name-%d', i * 7919 % 100003), i % 1000 FROM n;
        CREATE INDEX by_name ON item(name);
        SELECT count(*), sum(value), max(name) FROM item;
        SELECT value, count(*) FROM item GROUP BY value ORDER BY value DESC LIMIT 20;
        SELECT a.name, b.name FROM item a JOIN item b ON a.id = b.value WHERE b.id BETWEEN 500 AND 540 ORDER BY 2;
        SELECT group_concat(name, '|') FROM (SELECT name FROM item ORDER BY name LIMIT 2000);
        DELETE FROM item WHERE id % 3 = 0; VACUUM; PRAGMA integrity_check; SELECT count(*) FROM item;
    """)
    run("sqlite3", "test.db", "this is no statement")


PYTHON = r"""
import hashlib, json, re, sqlite3, subprocess, sys, threading, zlib
SHARE = int(sys.argv[1])
value = {str(i): [i, str(i) * 3, {"nested": list(range(i % 20))}] for i in range(20000 // SHARE)}
text = json.dumps(value)
assert json.loads(text) == value
print(len(text), hashlib.sha256(text.encode()).hexdigest())
print(len(re.findall(r'"(\d+)": \[\1,', text)), zlib.crc32(zlib.compress(text.encode())))
results = [None] * 8
def work(n):
    kept = []
    for i in range(3000 // SHARE):
        kept.append(bytearray((i * 37 + n) % 5000))
        if i % 3 == 0:
            kept.pop(0)
    results[n] = sum(map(len, kept))
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(results)
for i in range(5 // min(SHARE, 5)):
    print(subprocess.run([sys.executable, "-c", f"print('child', {i}, sum(range({i} * 1000)))"],
                         capture_output=True, text=True).stdout, end="")
db = sqlite3.connect(":memory:")
db.execute("CREATE TABLE t(a, b)")
db.executemany("INSERT INTO t VALUES (?, ?)", ((i, "x" * (i % 50)) for i in range(20000 // SHARE)))
print(db.execute("SELECT sum(a), sum(length(b)) FROM t").fetchone())
import os
pid = os.fork()
if pid == 0:
    print("forked", len(json.dumps(value))); sys.stdout.flush(); os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def python3(run):
    run.write("test.py", PYTHON)
    run("python3", "test.py", str(run.share))
    run("python3", "-c", "raise SystemExit(5)")


def perl(run):
    run("perl", "-e", r"""
        my $share = $ARGV[0]; my %h; for my $i (1..60000 / $share) { $h{"key" . ($i * 7919 % 60013)} = "v" x ($i % 97); }
        my $total = 0; $total += length $h{$_} for sort keys %h; print scalar(keys %h), " $total\n";
        my @words = map { join "", map { chr(97 + ($_ * 31) % 26) } $_ .. $_ + 5 } 1 .. 20000 / $share;
        my %seen; $seen{$_}++ for @words; print join(",", sort keys %seen), "\n";
        my $s = join " ", @words; my $n = () = $s =~ /([a-z])\w*\1/g; print "$n\n"; $s =~ s/(\w+) (\w+)/$2 $1/g;
        print length($s), "\n"; for my $i (1..20 / $share) { my $pid = fork; if (!$pid) { my @x = (1) x 10000; exit($i % 7) }
        waitpid $pid, 0; print $? >> 8, " " } print "\n"; die "the end\n";
    """, str(run.share))


def bash(run):
    run("bash", "-c", r"""
        for i in $(seq 1 $((150 / $1))); do a=$(echo $((i * 3))); b=$( (echo "$a"; echo "$i") | tr '\n' ' '); echo "$b"; done
        declare -A map; for i in $(seq 1 $((3000 / $1))); do map[k$((i % 700))]+="x$i"; done
        for k in "${!map[@]}"; do echo "$k ${#map[$k]}"; done | sort | cksum
        x=$(printf '%s\n' {1..5000}); echo "${#x}"; while read -r line; do n=$((n + line)); done <<< "$x"; echo "$n"
        (exit 7); echo $?; f() { local v=$1; [ "$v" -gt 0 ] && f $((v - 1)); echo -n "$v "; }; f 100; echo
        cat <(echo one) <(echo two) | sort -r; exec 3<&-; echo done >&2; exit 9
    """, "bash", str(run.share))


def git(run):
    def call(*arguments):
        return run("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0", *arguments)

    call("init", "-q", "-b", "main", ".")
    for commit in range(max(run.some(6), 4)):
        for number in range(max(run.some(40), 8)):
            run.write(f"file{number}.txt", "".join(f"line {i * (commit + 1) % (number + 50)}\n" for i in range(400)))
        call("add", ".")
        call("commit", "-q", "-m", f"commit {commit}")
    call("log", "--stat", "-p")
    call("repack", "-a", "-d", "-f", "-q", "--threads=2")
    call("fsck", "--full")
    call("checkout", "-q", "-b", "other", "HEAD~3")
    run.write("file1.txt", "another\n")
    call("commit", "-q", "-a", "-m", "another")
    call("merge", "-q", "-s", "ours", "-m", "merged", "main")
    call("log", "--graph", "--oneline")
    call("grep", "-c", "line 7")
    call("show", "no-such-thing")


def gcc(run):
    functions = "".join(f"int f{i}(int x) {{ int s = {i}; for (int i = 0; i < x; i++) s = s * 31 + (i ^ x) % "
                        f"{i + 1}; return s; }}\n" for i in range(run.some(1200)))
    calls = "".join(f"s ^= f{i}(argc + {i % 9});" for i in range(run.some(1200)))
    run.write("large.c", f"#include <stdio.h>\n{functions}int main(int argc, char **argv) {{ int s = 0; {calls} "
                         f"printf(\"%d\\n\", s); return 0; }}\n")
    run.write("wrong.c", "int main(void) { return undeclared; }\n")
    run("gcc", "-O1", "-c", "large.c", "-o", "large.o")
    run("gcc", "large.o", "-o", "large")
    run("sha256sum", "large.o")
    run("./large")
    run("gcc", "-c", "wrong.c")


GXX = r"""
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
struct alignas(64) Wide { char c[64]; };
int main() {
    std::map<std::string, std::vector<std::string>> all;
    std::vector<std::thread> threads;
    std::vector<std::map<std::string, int>> counts(4);
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t, &counts] {
            for (int i = 0; i < 20000; i++) counts[t][std::to_string(i * 7919 % 1009) + std::string(t * 20, 'x')]++; });
    for (auto &t : threads) t.join();
    for (auto &m : counts) for (auto &p : m) all[p.first].push_back(std::to_string(p.second));
    size_t sum = 0;
    for (auto &p : all) for (auto &s : p.second) sum += s.size() * p.first.size();
    std::vector<std::unique_ptr<Wide>> wide;
    for (int i = 0; i < 1000; i++) { wide.emplace_back(new Wide()); sum += reinterpret_cast<size_t>(wide.back().get()) % 64; }
    std::cout << all.size() << " " << sum << std::endl;
    try { std::vector<char> v(static_cast<size_t>(-1) / 4); } catch (std::bad_alloc &e) { std::cout << e.what() << "\n"; }
    throw std::string("the end");
}
"""


def gxx(run):
    run.write("test.cc", GXX)
    run("g++", "-O0", "-std=c++17", "-pthread", "test.cc", "-o", "test")
    run("sha256sum", "test")
    run("./test")


NODE = r"""
const share = Number(process.argv[2]);
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (isMainThread) {
    const job = n => new Promise((done, fail) => {
        const w = new Worker(__filename, { workerData: n, argv: [share] });
        w.on('message', done); w.on('error', fail); });
    (async () => {
        const sums = await Promise.all([1, 2, 3].map(job));
        const many = await Promise.all(Array.from({ length: 20000 / share }, (_, i) => new Promise(r => setImmediate(() => r(i)))));
        const text = JSON.stringify(many.map(i => ({ i, s: 'x'.repeat(i % 40) })));
        console.log(sums, many.reduce((a, b) => a + b), text.length, JSON.parse(text).length);
        console.log(require('crypto').createHash('sha256').update(text).digest('hex'));
        console.log(require('zlib').gunzipSync(require('zlib').gzipSync(text)).length);
        process.exitCode = 3;
    })();
} else {
    let a = []; for (let i = 0; i < 100000 / share; i++) { a.push({ v: i * workerData }); if (a.length > 500) a.shift(); }
    parentPort.postMessage(a.reduce((s, o) => s + o.v, 0));
}
"""


def node(run):
    run.write("test.js", NODE)
    run("node", "test.js", str(run.share))


def redis(run):
    socket_path = run.path("redis.sock")
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket_path, "--save", "", "--dir",
                               run.directory], env=run.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(socket_path):
            if server.poll() is not None:
                raise SystemExit(f"FAILED: redis-server ended with {server.returncode}")
            time.sleep(0.05)
        benchmark = subprocess.run(["redis-benchmark", "-s", socket_path, "-n", str(run.some(3000)), "-c", "20", "-q", "-d", "200",
                                    "-t", "set,get,lpush,lrange_100,hset,spop,mset"], env=run.env, capture_output=True)
        run.said.append(("redis-benchmark", benchmark.returncode, "", ""))

        def call(*words):
            return run("redis-cli", "-s", socket_path, *words)

        call("DEL", "mylist", "key:__rand_int__")
        for i in range(20):
            call("SET", f"name{i}", "value" * (i * 40))
            call("RPUSH", "list", *[f"element{n}" for n in range(i)])
        call("DEBUG", "STRINGMATCH-LEN", "10", "a*")
        for i in range(20):
            call("GET", f"name{i}")
        call("LRANGE", "list", "0", "-1")
        call("SAVE")
        call("EVAL", "local t = {} for i = 1, 5000 do t[i] = string.rep('x', i % 50) end return #table.concat(t)", "0")
        info = subprocess.run(["redis-cli", "-s", socket_path, "INFO", "memory"], env=run.env, capture_output=True,
                              text=True).stdout
        used = [int(line.split(":")[1]) for line in info.splitlines() if line.startswith("used_memory:")]
        run.said.append(("INFO", len(used) == 1 and 100000 < used[0] < 1 << 30, "", ""))
        call("SHUTDOWN", "NOSAVE")
        run.said.append(("redis-server", server.wait(timeout=60), "", ""))
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def tar(run):
    count = run.some(60)
    for number in range(count):
        run.write(f"f{number:02}", "".join(f"{i * 7919 % 10007} {number}\n" for i in range(3000)))
    names = [f"f{number:02}" for number in range(count)]
    run("tar", "--sort=name", "--mtime=2020-01-01", "--owner=0", "--group=0", "-cf", "all.tar", *names)
    run("sort", "-n", "--parallel=2", "-S", "2M", "-T", ".", *names)
    run("xz", "-T2", "-k", "all.tar")
    run("sha256sum", "all.tar", "all.tar.xz")
    run("xz", "-t", "-v", "all.tar.xz")
    run("tar", "-tvf", "all.tar.xz")
    run("sort", "no-such-file")


SCENARIOS = {
    "sqlite3": (sqlite3, ["sqlite3"]),
    "python3": (python3, ["python3"]),
    "perl": (perl, ["perl"]),
    "bash": (bash, ["bash"]),
    "git": (git, ["git"]),
    "gcc": (gcc, ["gcc"]),
    "g++": (gxx, ["g++"]),
    "node": (node, ["node"]),
    "redis": (redis, ["redis-server", "redis-benchmark", "redis-cli"]),
    "tar": (tar, ["tar", "sort", "xz"]),
}


def perform(scenario, preload, share, settings):
    with tempfile.TemporaryDirectory(prefix="tagpool-test-") as directory:
        run = Run(directory, preload, share, settings)
        scenario(run)
        return run.said


def show(text):
    return text if len(text) < 600 else text[:300] + "[...]" + text[-300:]


def compare(what, bare, under):
    same = bare == under
    print("ok    " if same else "FAILED", what, f"({len(bare)} commands)")
    for expected, got in zip(bare, under):
        if expected != got:
            print(f"  {expected[0]}: status {got[1]}, should be {expected[1]}")
            print(f"  stdout: {show(got[2])!r}\n  should: {show(expected[2])!r}")
            print(f"  stderr: {show(got[3])!r}\n  should: {show(expected[3])!r}")
            break
    return same


# Of what the other runs do, and with all of Python's blocks from malloc.
VERIFIED_SHARE = 10


def ways(verify):
    """(what is said of it, settings) of each run under the preload module."""
    if not verify:
        return [("by module", {}), ("by site", {"TAGPOOL_TAGS": "site"})]
    return [(words, {"TAGPOOL_VERIFY": words, "PYTHONMALLOC": "malloc"})
            for line in verify for words in guards.each(line)]


def main():
    name, preload, *verify = sys.argv[1:]
    scenario, needed = SCENARIOS[name]
    missing = [program for program in needed if shutil.which(program) is None]
    if missing:
        print("SKIPPED: not installed:", *missing)
        sys.exit(SKIP)
    good = True
    share = VERIFIED_SHARE if verify else 1
    bare = perform(scenario, None, share, {})
    for what, status, *_ in bare:
        print(f"        bare: {what} -> {status}")
    for what, settings in ways(verify):
        begin = time.monotonic()
        good &= compare(f"{name}, {what}", bare, perform(scenario, os.path.abspath(preload), share, settings))
        print(f"        {time.monotonic() - begin:.1f} s")
    sys.exit(0 if good else 1)


main()
