"""The rules that stops are made from, as include/tagpool/rules.h has them, and what a test says it expects of them."""

import os
import re
from collections import namedtuple

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "tagpool", "rules.h")
CODE = re.compile(r"X\((\w+), (0x[0-9A-F]+)\)")
ROW = re.compile(r'X\((\w+), (\w+), ([0-4]), (\w+), "[^"]*",\s*"[^"]*",\s*"[^"]*",\s*"[^"]*",\s*"([^"]*)",\s*"[^"]*"\)')

Rule = namedtuple("Rule", "name code code_name constant_at constant sentence")
Expected = namedtuple("Expected", "rules pattern verify")


def _text():
    with open(HEADER) as file:
        return file.read().replace("\\\n", "\n")


def codes():
    """As they stand."""
    return [int(code, 16) for _, code in CODE.findall(_text())]


def read():
    """By name."""
    text = _text()
    numbers = {name: int(code, 16) for name, code in CODE.findall(text)}
    rows = [Rule(name, numbers[code], code, int(at), int(constant, 0), sentence)
            for name, code, at, constant, sentence in ROW.findall(text)]
    # A row that the pattern does not know would go untested in silence.
    if len(rows) != len(re.findall(r"^    X\((?!\w+, 0x)", text, re.MULTILINE)):
        raise SystemExit(f"FAILED: {HEADER} has rows that are not understood")
    return {rule.name: rule for rule in rows}


def expected(source):
    """
    What the first comment of a death test says, or None:

        expect: RULE            or RULE|RULE, where either will do; a pattern may follow for the rest of the report,
                                from the first parameter on that is not constant for the rule
        verify: special=all     words of TAGPOOL_VERIFY; of several lines, each makes a run of its own
    """
    with open(source) as file:
        comment = re.match(r"/\*(.*?)\*/\n", file.read(), re.DOTALL)
    lines = re.findall(r"(expect|verify): (.*?) *$", comment[1] if comment else "", re.MULTILINE)
    expects = [text for word, text in lines if word == "expect"]
    if len(expects) != 1:
        return None
    names, _, pattern = expects[0].partition(" ")
    return Expected(names.split("|"), pattern, [text for word, text in lines if word == "verify"])


def rest_of_stop(text, rule):
    """
    What a pattern is for, or None: where there is not one line in the original's form with the rule's code and constant,
    and one sentence, and nothing else.
    """
    parameters = [r"0x[0-9A-F]{16}"] * 4
    if rule.constant_at != 0:
        parameters[rule.constant_at - 1] = f"0x{rule.constant:016X}"
    first = parameters.pop(0) + ", " if rule.constant_at == 1 else ""
    line = rf"\*\*\* STOP: 0x{rule.code:08X} \({first}(?P<rest>{', '.join(parameters)}\) {rule.code_name}\n"
    place = r"pointer 0x[0-9A-F]{12}(, tag [ -~]{4})?, page 0x[0-9A-F]{9}000"
    stop = re.fullmatch(f"{line}{re.escape(rule.sentence)}: {place}\\.\n)", text)
    return stop["rest"] if stop else None
