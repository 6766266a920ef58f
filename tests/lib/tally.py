"""tally.py: counters that count in Redis by way of the driver while a test moves and kills servers, with accounts."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from lib.resp import RespError
from lib.server import BINARY, ROOT, eventually, overrides

COUNTERS = 12
# A ceiling: elections on a busy machine, under sanitizers.
PATIENCE_S = 240


class Tally:
    """One run of tally.lua, for a with block. `find` says which node holds a key now, or None."""

    number = 0

    def __init__(self, url, find, **settings):
        Tally.number += 1
        self.prefix = f"tally-{os.getpid()}-{Tally.number}"
        self.keys = [f"{self.prefix}:{i}" for i in range(1, COUNTERS + 1)]
        self.find = find
        self.folder = tempfile.mkdtemp(prefix="perigee-tally-")
        env = {key: value for key, value in os.environ.items() if not key.startswith("PERIGEE_")}
        # Long enough for any machine: what is reported here was refused or lost its connection.
        settings = {"redis_url": url, "redis_command_ms": 60000, "redis_connect_ms": 60000, "data": self.folder,
                    **settings}
        env.update(overrides(**settings))
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            command = [BINARY, "script", "tests/lib/tally.lua", self.prefix, str(COUNTERS)]
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as source:
            return source.read()

    def value(self, key):
        """What is stored, or None while nobody holds the key."""
        with contextlib.suppress(OSError, RespError):
            node = self.find(key)
            return int(node.call("GET", key) or 0) if node else None
        return None

    def floors(self, replicas):
        """What one of the replicas has of each counter."""
        def held(key):
            for node in replicas:
                with node.client() as client:
                    with contextlib.suppress(RespError):
                        client.call("READONLY")  # outside of a Cluster nobody knows it or needs it
                    with contextlib.suppress(RespError):
                        return int(client.call("GET", key) or 0)
            raise AssertionError(f"no replica has {key}")
        return {key: held(key) for key in self.keys}

    def more(self, keys=None):
        """Waits until each of these has grown three times."""
        for key in keys or self.keys:
            before = eventually(lambda at=key: (self.value(at) is not None, self.value(at) or 0), key, PATIENCE_S)[1]
            eventually(lambda at=key, least=before + 3: (self.value(at) or 0) >= least,
                       f"{key} grows from {before}; it is {self.value(key)}\n{self.log()[-3000:]}", PATIENCE_S)

    def stop(self):
        """Ends it and returns its books, with `stored` beside what each says."""
        self.find(self.prefix + ":stop").call("SET", self.prefix + ":stop", "1")
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        if self.process.returncode != 0 or "AddressSanitizer" in self.log():
            raise AssertionError(f"the script ended with {self.process.returncode}:\n{self.log()[-6000:]}")
        books = json.loads(output)
        for book in books:
            book["stored"] = self.value(book["key"])
        return books


class TallyCase(unittest.TestCase):
    def check(self, books, floors=None):
        """Every command was answered right or reported. With `floors`, what a replica had of each counter when its
        master was replaced: beyond that a master may take with it what it confirmed and did not pass on, once, as
        nobody goes back to it."""
        for book in books:
            self.assertEqual(book["faults"], [])
            self.assertLessEqual(book["stored"], book["confirmed"] + book["reported"], book)
            if floors is None:
                self.assertEqual(book["falls"], [])
                self.assertGreaterEqual(book["stored"], book["confirmed"], book)
            else:
                self.assertLessEqual(len(book["falls"]), 1, book)
                self.assertTrue(all(value > floors[book["key"]] for _, value in book["falls"]), book)

    def check_reads(self, books):
        """Only reads that were under way when their replica died were reported."""
        self.check(books)
        self.assertEqual([book for book in books if book["reported"] or book["silent"] or book["unread"] > 3], [])

    def check_unnoticed(self, books):
        self.check(books)
        self.assertEqual([book for book in books if book["reported"] or book["silent"] or book["unread"]], [])
