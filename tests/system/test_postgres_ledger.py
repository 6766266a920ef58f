#!/usr/bin/env python3
"""test_postgres_ledger.py: several nodes on one PostgreSQL, straight, by way of pgbouncer, and with a replica."""
import os
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import postgres  # noqa: E402 pylint: disable=wrong-import-position
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.ledger import Races  # noqa: E402 pylint: disable=wrong-import-position
from lib.on_engine import migrate  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server  # noqa: E402 pylint: disable=wrong-import-position


class OnServer(unittest.TestCase):
    @classmethod
    def open(cls):
        """The servers, the first of which the settings' URLs lead to."""
        return [postgres.Single()]

    @classmethod
    def settings(cls):
        return {"postgres_url": cls.groups[0].url}

    @classmethod
    def setUpClass(cls):
        cls.groups = cls.open()
        migrate(**cls.settings())
        cls.server = Server(**cls.settings())

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()
        for group in reversed(cls.groups):
            group.close()

    def tenants(self):
        return dict(self.groups[0].query("select slug, name from tenants where slug is not null"))


class Straight(Races, OnServer):
    pass


class ByBouncer(Races, OnServer):
    @classmethod
    def open(cls):
        server = postgres.Single()
        return [server, postgres.Bouncer(server)]

    @classmethod
    def settings(cls):
        server, bouncer = cls.groups
        return {"postgres_url": bouncer.url, "postgres_listen_url": server.url}

    def test_each_of_many_large_queries_gets_its_own_answer(self):
        for counts in self.all_at_once(4, "flood", str(uuid.uuid4()), 40):
            self.assertEqual(counts, {"own": 40 * 64})


class WithReplica(OnServer):
    @classmethod
    def open(cls):
        return [postgres.Replicated()]

    @classmethod
    def settings(cls):
        pair = cls.groups[0]
        return {"postgres_url": pair.url, "postgres_read_url": pair.read_url}

    begin, finish = Races.begin, Races.finish

    def setUp(self):
        postgres.until(self.groups[0].caught_up, "the replica has the schema")

    def read(self, count):
        return self.finish(self.begin("read", str(uuid.uuid4()), str(uuid.uuid4()), count))

    def test_a_session_reads_what_it_wrote_and_others_may_read_older(self):
        pair = self.groups[0]
        pair.hold_replay()
        try:
            told = self.read(20)
            self.assertEqual(told["missed"], 0)
            self.assertGreater(told["behind"], 0)
        finally:
            pair.hold_replay(False)
        self.assertEqual(self.read(20)["missed"], 0)

    def test_a_replica_without_the_schema_is_no_failure(self):
        pair = self.groups[0]
        pair.query("alter table payment_transactions rename to later")
        postgres.until(pair.caught_up, "the replica has no such table")
        pair.hold_replay()
        try:
            pair.query("alter table later rename to payment_transactions")
            self.assertEqual(self.read(5), {"missed": 0, "behind": 0})
        finally:
            pair.hold_replay(False)

    def test_stale_reads_go_to_the_replica_once_it_has_caught_up(self):
        pair = self.groups[0]
        count = "select sum(idx_scan + seq_scan) from pg_stat_user_tables where relname = 'payment_transactions'"
        before = int(pair.replica.one(count, postgres.ROLE) or 0)
        self.read(50)
        postgres.until(lambda: int(pair.replica.one(count, postgres.ROLE) or 0) > before, "the replica was read")


if __name__ == "__main__":
    main()
