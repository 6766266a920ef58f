#!/usr/bin/env python3
"""test_ledger.py: several processes work on one embedded ledger at once."""
import os
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


if __name__ == "__main__":
    main()
