"""
Servers under load are switched from outside, many times: special pool, tracking, limits, faults, and back.

Usage: switching_test.py CASE TAGPOOL [SERVER]      exits with 77 where a program is not installed

  redis    redis-server under redis-benchmark, which ends at the first error, and a client that checks what it gets
  server   SERVER under four clients; also limits that are reached, and faults: no error but those that were asked for

SWITCHING_CYCLES says how many times, 60 where it is not set.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SKIP = 77
CYCLES = int(os.environ.get("SWITCHING_CYCLES", "60"))
CLIENTS = 4
KEYS = 64  # of each client
SEGMENTS = "/dev/shm"


def fail(*words):
    raise SystemExit("FAILED: " + " ".join(map(str, words)))


def check(what, found, expected):
    if found != expected:
        fail(f"{what}: {found}, not {expected}")


# --- what is switched ------------------------------------------------------------------------------------------------


class Switched:
    """With-block in which a server runs under `tagpool run`."""

    def __init__(self, tagpool, *command):
        self.tagpool, self.name = tagpool, os.path.basename(command[0])
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TAGPOOL_", "LD_"))}
        self.process = subprocess.Popen([tagpool, "run", "--", *command], env=env, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def set(self, *settings):
        """Returns when they are in force."""
        done = subprocess.run([self.tagpool, "set", "-p", str(self.process.pid), *settings], capture_output=True,
                              text=True, timeout=60)
        if done.returncode != 0 or "in force" not in done.stdout:
            fail(f"{settings}: {done.returncode} {done.stdout}{done.stderr}; server: {self.process.poll()}")

    def special_total(self, directory, tag):
        """Blocks in special pool so far: the segment of this process, in a directory of its own, is looked at."""
        self.set("+track", tag)  # what is not verified is not told of
        segment = f"tagpool.{os.getuid()}.{self.process.pid}"
        if not os.path.exists(f"{directory}/{segment}"):
            os.link(f"{SEGMENTS}/{segment}", f"{directory}/{segment}")
        verifier = f"{directory}/verifier"
        if not os.path.lexists(verifier):
            os.symlink(self.tagpool, verifier)
        said = subprocess.run([verifier, "/query"], env=dict(os.environ, TAGPOOL_SEGMENT_DIR=directory), check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        words = "AllocationsSucceededSpecialPool: "
        return sum(int(line[len(words):]) for line in said.splitlines() if line.startswith(words))

    def check_end(self):
        check(f"status of {self.name}", self.process.wait(timeout=60), 0)


def exchange(connection, line):
    connection.write(f"{line}\n".encode())
    connection.flush()
    return connection.readline().decode().rstrip("\n")


# --- redis -----------------------------------------------------------------------------------------------------------


class Redis:
    """What is set is got, whatever is switched in between."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rwb")
        self.random = random.Random(1)
        self.kept = {}

    def call(self, *words):
        self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        self.file.flush()
        head = self.file.readline().rstrip(b"\r\n")
        if head[:1] != b"$":
            return head
        return self.file.read(int(head[1:]) + 2)[:-2]

    def work(self, count):
        for _ in range(count):
            key = b"checked%d" % self.random.randrange(KEYS)
            if key in self.kept:
                check(key, self.call(b"GET", key), self.kept[key])
            self.kept[key] = self.random.randbytes(self.random.randrange(1, 3000))
            check(key, self.call(b"SET", key, self.kept[key]), b"+OK")


def cycle_redis(server, client, number):
    tag = "redis-server*"
    kind = ("+spp", "+auto", "+watch")[number % 3]
    server.set(kind, tag)
    client.work(20)
    server.set("+track=full" if number % 2 else "+track", tag)
    client.work(20)
    server.set("+limit", f"{tag[:-1]}=64G,soft:32G")
    client.work(20)
    server.set("-" + kind[1:], "-track", "-limit", tag[:-1])
    client.work(20)


def wait_for_socket(server, path):
    while not os.path.exists(path):
        if server.process.poll() is not None:
            print(server.process.stdout.read())
            fail("redis-server ended with", server.process.returncode)
        time.sleep(0.05)


def load(path):
    """Ends at the first error; what it says is of no interest else."""
    return subprocess.Popen(["redis-benchmark", "-s", path, "-q", "-l", "-c", "10", "-d", "300", "-r", "500", "-n", "5000",
                             "-t", "set,get,incr,hset,sadd,spop,mset"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def case_redis(tagpool, directory, special):
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        print("redis is not installed")
        raise SystemExit(SKIP)
    path = f"{directory}/socket"
    with Switched(tagpool, "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory,
                  "--logfile", f"{directory}/log") as server:
        wait_for_socket(server, path)
        client, benchmark = Redis(path), load(path)
        try:
            for number in range(CYCLES):
                cycle_redis(server, client, number)
                check("redis-benchmark", benchmark.poll(), None)
        finally:
            benchmark.kill()
            benchmark.wait()
        served = server.special_total(special, "redis-server")
        if served < CYCLES:
            fail("special pool served", served)
        client.file.write(b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n")
        client.file.flush()
        server.check_end()
        print(f"{CYCLES} cycles, {served} blocks in special pool, no error")


# --- a server that survives ------------------------------------------------------------------------------------------


class Asked:
    """Whether errors are asked for, since before they can come until after they can."""

    def __init__(self):
        self.now = False


class Client(threading.Thread):
    """Sets and gets its own keys, and knows what must come back; counts what was refused when that was asked for."""

    def __init__(self, port, number, asked):
        super().__init__(daemon=True)
        self.connection = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.number, self.asked, self.random = number, asked, random.Random(number)
        self.kept, self.refused, self.done, self.wrong = {}, 0, 0, None
        self.ends = threading.Event()

    def ask(self, line):
        """The answer; None where it was refused, and might be."""
        asked_before = self.asked.now
        answer = exchange(self.connection, line)
        self.done += 1
        if answer != "no memory":
            return answer
        if not asked_before and not self.asked.now:
            self.wrong = f"'{line}' was refused, and nobody asked for that"
        self.refused += 1
        return None

    def step(self):
        key = self.number * KEYS + self.random.randrange(KEYS)
        answer = self.ask(f"get {key}")
        if answer not in (None, self.kept.get(key, "nothing")):
            self.wrong = f"get {key}: {answer}, not {self.kept.get(key)}"
        value = f"{self.random.randrange(8000) if key % 2 else self.random.randrange(300)} {self.random.randrange(2**32)}"
        answer = self.ask(f"set {key} {value}")
        if answer == "ok":
            self.kept[key] = value
        elif answer is not None:
            self.wrong = f"set {key}: {answer}"

    def run(self):
        try:
            while not self.ends.is_set() and self.wrong is None:
                self.step()
        except OSError as error:
            self.wrong = str(error)


def check_clients(clients, errors=False):
    """Each does something more; with `errors`, somebody is refused."""
    before = [(client.done, client.refused) for client in clients]
    for _ in range(6000):
        for client in clients:
            if client.wrong is not None:
                fail(client.wrong)
        went_on = all(client.done > done + 20 for client, (done, _) in zip(clients, before))
        is_refused = any(client.refused > refused for client, (_, refused) in zip(clients, before))
        if went_on and (is_refused or not errors):
            return
        time.sleep(0.01)
    fail("no progress" if not went_on else "nobody was refused")


def refuse(server, clients, asked, on, off):
    """Errors are asked for, come, and are at their end when the setting is taken back."""
    asked.now = True
    server.set(*on)
    check_clients(clients, errors=True)
    server.set(*off)
    asked.now = False
    check_clients(clients)


def cycle_server(server, clients, asked, number):
    kind = ("+spp", "+auto", "+watch", "+spp")[number % 4]
    server.set(kind, "Item")
    check_clients(clients)
    server.set("+track=full" if number % 2 else "+track", "Item", "+limit", "Item=64G,soft:32G")
    check_clients(clients)
    if number % 3 == 0:
        refuse(server, clients, asked, ["+limit", "Item=8K"], ["+limit", "Item=64G"])
    refuse(server, clients, asked, ["+fail", "Item=probability:500"], ["-fail", "Item"])
    server.set("-" + kind[1:], "-track", "-limit", "Item")
    check_clients(clients)


def case_server(tagpool, _directory, special, program):
    with Switched(tagpool, program) as server:
        port, asked = int(server.process.stdout.readline()), Asked()
        clients = [Client(port, number, asked) for number in range(CLIENTS)]
        control = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        for client in clients:
            client.start()
        check_clients(clients)
        for number in range(CYCLES):
            cycle_server(server, clients, asked, number)
        served = server.special_total(special, "Item")
        for client in clients:
            client.ends.set()
            client.join()
        refused = sum(client.refused for client in clients)
        check_clients_after(clients, control)
        check("failures that the server counted", int(exchange(control, "failures")), refused)
        allocs, frees, size = map(int, exchange(control, "quit").split())
        check("allocations and frees", (allocs, size), (frees, 0))
        server.check_end()
        if served < CYCLES:
            fail("special pool served", served)
        print(f"{CYCLES} cycles, {sum(client.done for client in clients)} requests, {refused} refused as asked, "
              f"{served} of {allocs} blocks in special pool")


def check_clients_after(clients, control):
    for client in clients:
        check("client", client.wrong, None)
        for key, value in client.kept.items():
            check(key, exchange(control, f"get {key}"), value)


def main():
    case, tagpool, *paths = sys.argv[1:]
    # A link to a segment must be in the same file system.
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory(dir=SEGMENTS) as special:
        globals()["case_" + case](os.path.abspath(tagpool), directory, special, *map(os.path.abspath, paths))


main()
