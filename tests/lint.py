#!/usr/bin/env python3
"""lint.py: checks what the style asks of every file: a telling first line, sizes, a place on the map."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE_LINES, FUNCTION_LINES, COLUMNS = 800, 80, 120
SOURCES = (".c", ".h", ".lua", ".py", ".sh")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX)\b")


def tracked():
    output = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            stdout=subprocess.PIPE, check=True).stdout.decode()
    return [name for name in output.split("\n") if name and os.path.isfile(os.path.join(ROOT, name))]


def opens_with_a_word(lines):
    text = "\n".join(lines[:3])
    return bool(re.search(r"(/\*|--|#|\"\"\")\s*\S+.*\w", re.sub(r"^#!.*\n", "", text)))


def functions(lines):
    """Yields (line, length) of each function of a C file: a brace in column 0 opens it, one closes it."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("}") and start is not None:
            yield start, number - start + 1
            start = None
        elif start is None and re.match(r"^[A-Za-z_].*\)\s*\{$", line):
            start = number
        elif line.startswith("{"):
            start = number


def faults_of(name, lines):
    if name.startswith(("tests/hostile/attacks/", "tests/fuzz/corpus/")):
        return  # inputs, not sources
    if not opens_with_a_word(lines):
        yield f"{name}:1: the first line does not say what happens in the file"
    if len(lines) > FILE_LINES:
        yield f"{name}: {len(lines)} lines; over {FILE_LINES} is a sign to redraw"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield f"{name}:{number}: {len(line)} columns, over {COLUMNS}"
        if LEFTOVER.search(line) and name != "tests/lint.py":
            yield f"{name}:{number}: a leftover mark"
    if name.endswith(".c"):
        for start, length in functions(lines):
            if length > FUNCTION_LINES:
                yield f"{name}:{start}: a function of {length} lines, over {FUNCTION_LINES}"


def off_the_map(names):
    path = os.path.join(ROOT, "docs", "map.md")
    with open(path, encoding="utf-8") as source:
        words = set(re.findall(r"[\w./-]+", source.read()))
    for name in names:
        if re.match(r"^(core|bindings)/.*\.c$", name) and name not in words and os.path.basename(name) not in words:
            yield f"{name}: not in docs/map.md"


def main():
    names = tracked()
    found = []
    for name in names:
        if name.endswith(SOURCES) or name in ("dev", ".ci/run"):
            with open(os.path.join(ROOT, name), encoding="utf-8") as source:
                found += faults_of(name, source.read().split("\n"))
    found += off_the_map(names)
    print("\n".join(found) if found else f"{len(names)} files are in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
