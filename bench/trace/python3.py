"""What the python3 trace is recorded from: text, records, trees and a cache, as scripts use them.

Usage: python3.py [SHARE [PASSES]]      a share of what is usual, so many times

Run with PYTHONMALLOC=malloc, so that every object is a call of malloc.
"""

import collections
import json
import re
import sys


def dice(seed):
    """Numbers that are the same in every version of Python."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


class Node:
    """A binary tree by hand: small objects, all linked."""

    def __init__(self, key):
        self.key = key
        self.left = self.right = None

    def add(self, key):
        node = self
        while key != node.key:
            side = "left" if key < node.key else "right"
            below = getattr(node, side)
            if below is None:
                setattr(node, side, Node(key))
                return
            node = below


def make_text(numbers, words):
    stems = ["pool", "tag", "page", "block", "queue", "thread", "count", "driver", "table", "index"]
    return " ".join(stems[next(numbers) % len(stems)] + str(next(numbers) % 2000) for _ in range(words))


def count_words(text):
    counts = collections.Counter(re.findall(r"[a-z]+\d+", text))
    pairs = collections.defaultdict(list)
    for word, count in counts.items():
        pairs[word[:3]].append((count, word))
    return {stem: sorted(found, reverse=True) for stem, found in pairs.items()}


def make_records(numbers, count):
    return [{"id": i, "name": f"record {next(numbers) % 100000}", "size": next(numbers) % 4096 / 7,
             "labels": [f"l{next(numbers) % 50}" for _ in range(i % 5)]} for i in range(count)]


def through_json(records):
    back = json.loads(json.dumps(records))
    back.sort(key=lambda record: (record["name"], record["id"]))
    return [line.split(",") for line in (f"{r['id']},{r['name']},{r['size']:.3f}" for r in back)]


def make_tree(numbers, count):
    root = Node(2**30)
    for _ in range(count):
        root.add(next(numbers))
    return root


def use_cache(numbers, calls, room):
    cache = collections.OrderedDict()
    for _ in range(calls):
        key = next(numbers) % (room * 3)
        if key not in cache:
            cache[key] = bytearray(key % 1500 + 1)
        cache.move_to_end(key)
        if len(cache) > room:
            cache.popitem(last=False)
    return sum(map(len, cache.values()))


def work(share):
    numbers = dice(7)
    words = count_words(make_text(numbers, round(60000 * share)))
    records = make_records(numbers, round(20000 * share))
    rows = through_json(records)
    tree = make_tree(numbers, round(20000 * share))
    cached = use_cache(numbers, round(40000 * share), 3000)
    print(len(words), len(records), len(rows), tree.key, cached)


def main(share="1", passes="1"):
    for _ in range(int(passes)):
        work(float(share))


main(*sys.argv[1:])
