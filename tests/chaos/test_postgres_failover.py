#!/usr/bin/env python3
"""test_postgres_failover.py: a primary that dies and a replica that takes over, replicas that lag and go, pgbouncer in
between, all under load."""
import os
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.engines import until  # noqa: E402
from lib.fault_case import LONG  # noqa: E402
from lib.ledger_case import PATIENT, LedgerCase  # noqa: E402
from lib.postgres import Bouncer, Replicated  # noqa: E402
from lib.server import eventually  # noqa: E402

ROUNDS = 3 if LONG else 1


class Failover(LedgerCase):
    """What was acknowledged is on both: the replica that takes over has all of it."""

    @classmethod
    def make_engine(cls):
        return Replicated(synchronous=True)

    def test_the_primary_dies(self):
        for _ in range(ROUNDS):
            self.under_load(self.engine.primary.kill, self.engine.promote)
            self.resolve()
            self.engine.rejoin()
            self.await_service()

    def test_the_replica_hangs(self):
        """A COMMIT is not acknowledged before the replica has it: it may have happened, and is found out."""
        self.under_load(self.engine.replica.pause, self.engine.replica.resume, everything=False, count=4)

    def test_the_primary_hangs_and_wakes_up(self):
        """The replica takes over; the old primary is fenced off before it wakes up, as whoever promotes must see to."""
        def take_over():
            self.engine.primary.kill()
            self.engine.promote()
        self.under_load(self.engine.primary.pause, take_over, everything=False, count=4)
        self.resolve()
        self.engine.rejoin()


class OnReplica(LedgerCase):
    """Reads that may be stale go to the replica."""

    limits = {}

    @classmethod
    def make_engine(cls):
        return Replicated()

    @classmethod
    def make_server(cls):
        cls.settings = {"postgres_read_url": cls.engine.url_at(cls.engine.replica.port), **cls.limits}
        return super().make_server()

    def orders(self, order, **options):
        payments = self.read(order, **options)
        return None if payments is None else [payment["orderId"] for payment in payments]


class Reading(OnReplica):
    limits = PATIENT

    def test_read_your_writes(self):
        """Behind a replica that does not show it yet, who has paid sees his payment, and another does not have to."""
        order, mine = str(uuid.uuid4()), self.new_session()
        until(self.engine.caught_up, "the replica has caught up")
        eventually(lambda: self.orders(order, stale=True) == [], "the replica answers")
        self.engine.hold_replay()
        try:
            self.assertEqual(self.pay(order, session=mine).status, 201)
            self.assertEqual(self.orders(order, stale=True, session=mine), [order])
            self.assertEqual(self.orders(order), [order])
            self.assertEqual(self.orders(order, stale=True), [])
        finally:
            self.engine.hold_replay(False)
        eventually(lambda: self.orders(order, stale=True) == [order], "the replica shows it")

    def test_the_replica_goes(self):
        """Nobody notices: the primary answers."""
        order = self.keep()
        self.engine.replica.kill()
        try:
            for _ in range(20):
                self.assertEqual(self.orders(order, stale=True, session=self.new_session()), [order])
                self.keep()
        finally:
            self.engine.replica.start()
        until(self.engine.streams, "the replica streams")
        self.await_service()


class ReplicaHangs(OnReplica):
    def test_the_replica_hangs(self):
        order = self.keep()
        self.engine.replica.pause()
        try:
            eventually(lambda: self.orders(order, stale=True) == [order], "reads go on")
            self.keep()
        finally:
            self.engine.replica.resume()
        self.await_service()


class OnBouncer(LedgerCase):
    """Transactions by way of pgbouncer, notifications past it."""

    limits = {}

    @classmethod
    def start_engine(cls):
        super().start_engine()
        try:
            cls.bouncer = Bouncer(cls.engine)
        except BaseException:
            super().stop_engine()
            raise

    @classmethod
    def stop_engine(cls):
        cls.bouncer.close()
        super().stop_engine()

    @classmethod
    def make_server(cls):
        cls.settings = {"postgres_listen_url": cls.engine.url, **cls.limits}
        return super().make_server()

    @classmethod
    def engine_url(cls):
        return cls.bouncer.url

    def check_bounds(self):
        """It is pgbouncer that bounds them."""


class BehindBouncer(OnBouncer):
    limits = PATIENT

    def test_payments(self):
        with self.clients(16) as payers:
            self.more(payers, 100)
        self.assertEqual(payers.refused, 0)
        self.settle(payers)


class BouncerDies(OnBouncer):
    def broken(self, node):
        self.under_load(node.kill, node.start, count=4)

    def test_the_bouncer_dies(self):
        self.broken(self.bouncer.node)

    def test_the_server_behind_dies(self):
        self.broken(self.engine.node)


if __name__ == "__main__":
    main()
