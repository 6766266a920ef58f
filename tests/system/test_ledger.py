#!/usr/bin/env python3
"""test_ledger.py: several processes work on one embedded ledger at once."""
import contextlib
import os
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.ledger import Races  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server  # noqa: E402 pylint: disable=wrong-import-position


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


if __name__ == "__main__":
    main()
