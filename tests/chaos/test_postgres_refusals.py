#!/usr/bin/env python3
"""test_postgres_refusals.py: a PostgreSQL that is there and says no: full, crowded, read-only; or not there yet."""
import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.ledger_case import LedgerCase, OnOne  # noqa: E402
from lib.pg import PgError  # noqa: E402
from lib.postgres import NoSmallDisk, Single, SmallDisk  # noqa: E402


class Refusing(LedgerCase):
    @classmethod
    def start_engine(cls):
        cls.postgres = Single()

    @classmethod
    def stop_engine(cls):
        cls.postgres.close()

    @classmethod
    def postgres_url(cls):
        return cls.postgres.url

    @classmethod
    def query(cls, sql):
        return cls.postgres.query(sql)

    def refused(self, fault, cure, everything=True):
        """`everything`: no payment gets through."""
        kept = self.paid()
        with self.payers(4) as payers:
            self.more(payers)
            fault()
            try:
                self.ended(payers)
                if everything:
                    self.check_without_postgres()
                self.check_unrelated()
            finally:
                cure()
            self.more(payers)
        self.await_service()
        self.settle(payers)
        self.check_kept(kept)
        self.check_bounds()


class Refusals(Refusing):
    since = "-infinity"

    def again(self, sql):
        """Changes what the role may do. Its sessions keep what they had, so they are ended."""
        self.query(sql)
        self.since = self.query("select clock_timestamp()")[0][0]

    def wait(self, condition, what, payers):
        """One session that was being opened at the change would serve on with what it had. It is seen in the list only
        later, so once is not enough to end them."""
        def renewed():
            self.postgres.node.end_sessions(f"usename = 'perigee' and backend_start < '{self.since}'")
            return condition()
        super().wait(renewed, what, payers)

    def test_read_only(self):
        """As a primary that has become a replica: reads go on."""
        self.refused(lambda: self.again("alter role perigee set default_transaction_read_only = on"),
                     lambda: self.again("alter role perigee reset default_transaction_read_only"))

    def test_wrong_password(self):
        password = self.postgres.password
        self.refused(lambda: self.again("alter role perigee password 'another word'"),
                     lambda: self.again(f"alter role perigee password '{password}'"))
        for secret in (password, "another word"):
            self.assertNotIn(secret, self.server.log())

    def test_no_connections_for_the_role(self):
        self.refused(lambda: self.again("alter role perigee connection limit 0"),
                     lambda: self.again("alter role perigee connection limit -1"))

    def test_no_right(self):
        """A fault of the installation, not the client's."""
        self.refused(lambda: self.again("alter role perigee nologin"), lambda: self.again("alter role perigee login"))


class Crowded(Refusing):
    """Others have taken all connections before the server starts."""

    @classmethod
    def start_engine(cls):
        cls.postgres = Single(settings=["max_connections = 16", "superuser_reserved_connections = 3"])
        cls.others = []

    @classmethod
    def stop_engine(cls):
        for other in cls.others:
            other.close()
        cls.postgres.close()

    @classmethod
    def make_server(cls):
        server = super().make_server()
        cls.crowd()
        return server

    @classmethod
    def crowd(cls):
        """Takes what is free, and again when the server has let go of something. One is kept for questions."""
        with contextlib.suppress(PgError):
            while len(cls.others) < 100:
                cls.others.append(cls.postgres.node.client("perigee"))
        cls.others.pop().close()

    @classmethod
    def await_service(cls):
        """Not before there is room."""

    def test_a_start_without_room(self):
        self.check_without_postgres()
        while self.others:
            self.others.pop().close()
        super().await_service()
        self.paid()

    def check_bounds(self):
        pass


class DiskFull(Refusing):
    @classmethod
    def start_engine(cls):
        try:
            cls.postgres = SmallDisk()
        except NoSmallDisk as error:
            raise unittest.SkipTest(str(error)) from error

    def test_disk_full(self):
        """What fits into pages that are there already may go on; nothing is half done."""
        self.refused(self.postgres.fill, self.postgres.empty, everything=False)
        self.assertIn("No space left on device", self.postgres.node.log())


class Absent(OnOne):
    """The server starts before its PostgreSQL can be reached."""

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.proxy.refuse()

    @classmethod
    def await_service(cls):
        """Not before it is there."""

    def test_a_start_without_postgres(self):
        self.check_without_postgres()
        self.proxy.open()
        super().await_service()


if __name__ == "__main__":
    main()
