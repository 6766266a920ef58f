#!/usr/bin/env python3
"""test_postgres_failover.py: a primary that dies and a replica that takes over, replicas that lag and go, pgbouncer in
between, all under load."""
import os
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.engines import until  # noqa: E402
from lib.ledger_case import LONG, LedgerCase  # noqa: E402
from lib.postgres import Bouncer, Replicated, Single  # noqa: E402
from lib.server import eventually  # noqa: E402

ROUNDS = 3 if LONG else 1


class OnPair(LedgerCase):
    synchronous = False

    @classmethod
    def start_engine(cls):
        cls.pair = Replicated(synchronous=cls.synchronous)

    @classmethod
    def stop_engine(cls):
        cls.pair.close()

    @classmethod
    def postgres_url(cls):
        return cls.pair.url

    @classmethod
    def query(cls, sql):
        return cls.pair.query(sql)


class Failover(OnPair):
    """What was acknowledged is on both: the replica that takes over has all of it."""

    synchronous = True

    def test_the_primary_dies(self):
        for _ in range(ROUNDS):
            kept = self.paid()
            with self.payers() as payers:
                self.more(payers)
                self.pair.primary.kill()
                self.ended(payers)
                self.check_without_postgres()
                self.pair.promote()
                self.more(payers)
            self.await_service()
            self.settle(payers)
            self.check_kept(kept)
            self.check_bounds()
            self.resolve()
            self.pair.rejoin()
            self.await_service()

    def test_the_replica_hangs(self):
        """A COMMIT is not acknowledged before the replica has it: it may have happened, and is found out."""
        with self.payers(4) as payers:
            self.more(payers)
            self.pair.replica.pause()
            try:
                self.ended(payers)
                self.check_unrelated()
            finally:
                self.pair.replica.resume()
            self.more(payers)
        self.await_service()
        self.settle(payers)

    def test_the_primary_hangs_and_wakes_up(self):
        """The replica takes over; the old primary is fenced off before it wakes up, as whoever promotes must see to."""
        with self.payers(4) as payers:
            self.more(payers)
            self.pair.primary.pause()
            self.ended(payers, 4)
            self.pair.primary.kill()
            self.pair.promote()
            self.more(payers)
        self.await_service()
        self.settle(payers)
        self.resolve()
        self.pair.rejoin()


class Reading(OnPair):
    """Reads that may be stale go to the replica."""

    @classmethod
    def make_server(cls):
        cls.settings = {"postgres_read_url": cls.pair.url_at(cls.pair.replica.port)}
        return super().make_server()

    def orders(self, order, **options):
        payments = eventually(lambda: [self.read(order, **options)], "payments can be read")[0]
        return None if payments is None else [payment["orderId"] for payment in payments]

    def test_read_your_writes(self):
        """Behind a replica that does not show it yet, who has paid sees his payment, and another does not have to."""
        order, mine = str(uuid.uuid4()), self.new_session()
        until(self.pair.caught_up, "the replica has caught up")
        eventually(lambda: self.orders(order, stale=True) == [], "the replica answers")
        self.pair.hold_replay()
        try:
            self.assertEqual(self.pay(order, session=mine).status, 201)
            self.assertEqual(self.orders(order, stale=True, session=mine), [order])
            self.assertEqual(self.orders(order), [order])
            self.assertEqual(self.orders(order, stale=True), [])
        finally:
            self.pair.hold_replay(False)
        eventually(lambda: self.orders(order, stale=True) == [order], "the replica shows it")

    def test_the_replica_goes(self):
        """Nobody notices: the primary answers."""
        order = self.paid()
        self.pair.replica.kill()
        try:
            for _ in range(20):
                self.assertEqual(self.orders(order, stale=True, session=self.new_session()), [order])
                self.paid()
        finally:
            self.pair.replica.start()
        until(self.pair.streams, "the replica streams")
        self.await_service()

    def test_the_replica_hangs(self):
        order = self.paid()
        self.pair.replica.pause()
        try:
            eventually(lambda: self.orders(order, stale=True) == [order], "reads go on")
            self.paid()
        finally:
            self.pair.replica.resume()
        self.await_service()


class BehindBouncer(LedgerCase):
    """Transactions by way of pgbouncer, notifications past it."""

    @classmethod
    def start_engine(cls):
        cls.postgres = Single()
        try:
            cls.bouncer = Bouncer(cls.postgres)
        except BaseException:
            cls.postgres.close()
            raise

    @classmethod
    def stop_engine(cls):
        cls.bouncer.close()
        cls.postgres.close()

    @classmethod
    def make_server(cls):
        cls.settings = {"postgres_listen_url": cls.postgres.url}
        return super().make_server()

    @classmethod
    def postgres_url(cls):
        return cls.bouncer.url

    @classmethod
    def direct_url(cls):
        return cls.postgres.url

    @classmethod
    def query(cls, sql):
        return cls.postgres.query(sql)

    def test_payments(self):
        with self.payers(16) as payers:
            self.more(payers, 100)
        self.assertEqual(payers.refused, 0)
        self.settle(payers)

    def broken(self, node):
        kept = self.paid()
        with self.payers(4) as payers:
            self.more(payers)
            node.kill()
            self.ended(payers)
            self.check_without_postgres()
            node.start()
            self.more(payers)
        self.await_service()
        self.settle(payers)
        self.check_kept(kept)

    def test_the_bouncer_dies(self):
        self.broken(self.bouncer.node)

    def test_the_server_behind_dies(self):
        self.broken(self.postgres.node)


if __name__ == "__main__":
    main()
