#!/usr/bin/env python3
"""test_postgres_effects.py: keys, outbox and audit with their ledger in PostgreSQL: the embedded engine's tests."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import postgres  # noqa: E402 pylint: disable=wrong-import-position
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server  # noqa: E402 pylint: disable=wrong-import-position
import test_audit  # noqa: E402 pylint: disable=wrong-import-position
import test_idempotency  # noqa: E402 pylint: disable=wrong-import-position
import test_outbox  # noqa: E402 pylint: disable=wrong-import-position


def migrate(url):
    server = Server(postgres_url=url)
    try:
        done = server.run("migrate", "up")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
    finally:
        server.remove()


class OnPostgres:
    """Mixed in before a class of tests: its servers keep their ledger in a PostgreSQL of the class's own."""

    postgres = None

    @classmethod
    def setUpClass(cls):
        cls.postgres = postgres.Single()
        try:
            migrate(cls.postgres.url)
            cls.settings = {**cls.settings, "postgres_url": cls.postgres.url}
            super().setUpClass()
        except BaseException:
            cls.postgres.close()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.postgres.close()


class Keys(OnPostgres, test_idempotency.Keys):
    pass


class Deaths(OnPostgres, test_idempotency.Deaths):
    pass


class Outbox(OnPostgres, test_outbox.Outbox):
    pass


class Audit(OnPostgres, test_audit.Audit):
    pass


if __name__ == "__main__":
    main()
