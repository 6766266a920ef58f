#!/usr/bin/env python3
"""test_postgres_faults.py: one PostgreSQL that hangs, dies, falls silent or is cut off, under load and while idle."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import fault_case  # noqa: E402
from lib.case import main  # noqa: E402
from lib.ledger_case import LedgerByProxy  # noqa: E402


class Faults(fault_case.Faults, LedgerByProxy):
    options = {"durable": True}

    def test_ended_by_an_administrator(self):
        self.under_load(self.engine.node.end_sessions, lambda: None, ends=False)
        self.idle(self.engine.node.end_sessions, lambda: None)


if __name__ == "__main__":
    main()
