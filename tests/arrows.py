#!/usr/bin/env python3
"""arrows.py: reads the includes and fails when an arrow between rooms points up, or files go in a circle."""
import glob
import graphlib
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Which rooms a file of a room may include. Joiners (core/*.c) may include everything.
ALLOWED = {
    "core/base": {"base"},
    "core/net": {"net", "base"},
    "core/lua": {"lua", "base"},
    "core/tenant": {"tenant", "lua", "base"},
}
# What a binding sees of the Lua room: the door, values and the VM it registers in; neither HTTP nor tenants.
BINDING_LUA = {"lua/await.h", "lua/value.h", "lua/vm.h", "lua/task.h", "lua/json.h", "lua/json_encode.h",
               "lua/decimal.h", "lua/inbox.h", "lua/holder.h", "lua/native.h"}
LIBRARIES = {
    "llhttp.h": {"core/net"},
    "yyjson.h": {"core/lua", "core/tenant", "core"},
    "curl/": {"bindings/http"},
    "sqlite3.h": {"bindings/sqlite"},
    "hiredis/": {"bindings/redis"},
    "openssl/": {"bindings/redis", "bindings/postgres"},
    "libpq-fe.h": {"bindings/postgres"},
}
# Rooms in which nothing includes itself, by whatever way.
STRAIGHT = ["core", "bindings/http", "bindings/postgres", "bindings/redis", "bindings/sqlite"]
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def includes_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        return INCLUDE.findall(source.read())


def faults(path):
    room = os.path.dirname(path)
    for kind, name in includes_of(path):
        if kind == "<":
            for library, rooms in LIBRARIES.items():
                if name.startswith(library) and room not in rooms:
                    yield f"{path}: <{name}> belongs to {', '.join(sorted(rooms))}"
        elif room in ALLOWED and name.split("/")[0] not in ALLOWED[room]:
            yield f"{path}: \"{name}\" points up"
        elif room.startswith("bindings/"):
            own = room.split("/")[1]
            if name.split("/")[0] not in (own, "base") and name not in BINDING_LUA:
                yield f"{path}: \"{name}\" is not for bindings"


def circles(room, files):
    """A noun is a .c with its .h: the nouns that one includes, and those that they include, never include it."""
    nouns = {os.path.splitext(path)[0]: set() for path in files if os.path.dirname(path) == room}
    for path in files:
        noun = os.path.splitext(path)[0]
        if noun in nouns:
            seen = {os.path.join(room.split("/")[0], os.path.splitext(name)[0]) for _, name in includes_of(path)}
            nouns[noun] |= seen & nouns.keys() - {noun}
    try:
        graphlib.TopologicalSorter(nouns).prepare()
    except graphlib.CycleError as circle:
        yield f"{room}: a circle, each included by the next: " + " ".join(circle.args[1])


def main():
    files = [os.path.relpath(name, ROOT) for pattern in ("core/**/*.[ch]", "bindings/**/*.[ch]")
             for name in glob.glob(os.path.join(ROOT, pattern), recursive=True)]
    found = [fault for path in sorted(files) for fault in faults(path)]
    found += [fault for room in STRAIGHT for fault in circles(room, files)]
    print("\n".join(found) if found else f"{len(files)} files, every arrow points down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
