#!/usr/bin/env python3
"""test_ledger.py: several processes work on one embedded ledger at once."""
import contextlib
import os
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.ledger import Races  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server, eventually  # noqa: E402 pylint: disable=wrong-import-position


class Embedded(Races, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()

    def tenants(self):
        path = os.path.join(self.server.data, "ledger.db")
        if not os.path.exists(path):
            return {}
        with contextlib.closing(sqlite3.connect(path)) as database:
            try:
                return dict(database.execute("select slug, name from tenants"))
            except sqlite3.OperationalError:
                return {}


# Keys that expired long ago, and a checkout that was given up.
LEAVE = """
local ledger = require("stores").ledger
local tenant = ident.uuid()
local function claim(key)
  return { caller = "c", route = "r", key = key, hash = "h", lease_ms = 1, orderId = ident.uuid(), orderNumber = "1",
    reservation = "r" }
end
for n = 1, 3 do assert(ledger.key_claim(tenant, claim("k" .. n))) end
assert(ledger.checkout_claim(tenant, claim "k"))
return 0
"""


class Sweep(unittest.TestCase):
    def test_one_worker_sweeps(self):
        server = Server(workers=2, log_level="debug")
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        script = os.path.join(server.folder, "leave.lua")
        with open(script, "w", encoding="utf-8") as out:
            out.write(LEAVE)
        done = server.run("script", script)
        self.assertEqual(done.returncode, 0, done.stderr)
        path = os.path.join(server.data, "ledger.db")
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("update idempotency_keys set expires_at = 0")
            database.execute("update checkouts set updated_at = 0, lease_until = 0")
            database.commit()
        began = time.monotonic()
        server.start()

        def left():
            with contextlib.closing(sqlite3.connect(path)) as database:
                return [database.execute(f"select count(*) from {table}").fetchone()[0]
                        for table in ("idempotency_keys", "checkouts")]
        eventually(lambda: left() == [0, 0], "they are swept")
        eventually(lambda: '"ledger_swept"' in server.log(), "the log says so")
        self.assertEqual(server.stop(), 0)
        lines = [line for line in server.log().splitlines() if '"ledger_swept"' in line]
        # Each worker has had its first turn; one of them swept, and again when a minute was over.
        self.assertLessEqual(len(lines), 1 + (time.monotonic() - began) // 55)
        self.assertIn('"count":4', lines[0])


if __name__ == "__main__":
    main()
