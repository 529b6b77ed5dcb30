"""
What lies behind a block is touched in places where it is hard to tell anybody: the report comes all the same, in the
file that TAGPOOL_REPORT names, or else on stderr.

Usage: report_test.py PLACE PRELOAD PROGRAM     PROGRAM: report_places
"""

import os
import re
import signal
import struct
import subprocess
import sys
import tempfile

RECORD = struct.Struct("=IIIIQ64s")
ITEM = struct.Struct("=II")
STOP = struct.Struct("=II4QQII")
BLOCK = struct.Struct("=QQq")
MAGIC, STOP_RECORD = 0x52504754, 1
ITEM_STOP, ITEM_BLOCK, ITEM_STACK = 1, 2, 3
CODE = 0xCD
LINE = re.compile(r"\*\*\* STOP: 0x000000CD \((?:0x[0-9A-F]{16}, ){3}0x0{16}\) PAGE_FAULT_BEYOND_END_OF_ALLOCATION\n"
                  r"Memory outside a block was used: pointer 0x[0-9A-F]{12}, tag [ -~]{4}, page 0x[0-9A-F]{12}\.\n")

# There the one who is told is taken away.
NO_STDERR = {"all_closed", "no_reader"}
NO_FILE = {"no_descriptors", "no_file_size"}


def run(program, place, preload, report):
    env = dict(os.environ, LD_PRELOAD=preload, TAGPOOL_VERIFY="special=all", TAGPOOL_TAGS="module")
    env.pop("TAGPOOL_REPORT", None)
    if report:
        env["TAGPOOL_REPORT"] = report
    process = subprocess.Popen([program, place], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    text = process.communicate(timeout=50)[1]
    segment = f"/dev/shm/tagpool.{os.geteuid()}.{process.pid}"
    if os.path.exists(segment):
        os.unlink(segment)
    return process.returncode, text


def items(record):
    at = RECORD.size
    while at < len(record):
        kind, size = ITEM.unpack_from(record, at)
        yield kind, record[at + ITEM.size:at + ITEM.size + size]
        at += ITEM.size + (size + 7) // 8 * 8


def records(path):
    """Children that end by themselves may have added theirs."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        magic, size, kind = RECORD.unpack_from(data, at)[:3]
        if magic != MAGIC:
            raise SystemExit("FAILED: not a record")
        yield kind, data[at:at + size]
        at += size


def is_report(path):
    """One stop, of our block, with the stack that leads there."""
    stops = [record for kind, record in records(path) if kind == STOP_RECORD]
    if len(stops) != 1:
        return False
    found = dict(reversed(list(items(stops[0]))))
    address, size, offset = BLOCK.unpack_from(found[ITEM_BLOCK])
    stop = STOP.unpack_from(found[ITEM_STOP])
    frames = struct.unpack_from("=II", found[ITEM_STACK])[1]
    return stop[1] == CODE and size == 100 and offset == 112 and stop[6] == address + 112 and frames >= 3


def check(what, good, *more):
    print("ok    " if good else "FAILED", what, *more)
    return good


def main():
    place, preload, program = sys.argv[1:]
    preload = os.path.abspath(preload)
    with tempfile.NamedTemporaryFile() as report:
        status, text = run(program, place, preload, report.name)
        good = check("ended by SIGABRT", status == -signal.SIGABRT, status, text)
        if place in NO_FILE:
            good &= check("on stderr, since the file cannot be had", LINE.fullmatch(text) is not None, text)
        else:
            good &= check("in the file", is_report(report.name)) & check("nothing on stderr", text == "", text)
    status, text = run(program, place, preload, None)
    good &= check("without a file", status == -signal.SIGABRT, status)
    good &= check("on stderr", LINE.fullmatch(text) is not None or place in NO_STDERR, text)
    sys.exit(0 if good else 1)


main()
