#!/usr/bin/env python3
"""test_postgres_refusals.py: a PostgreSQL that is there and says no: full, crowded, read-only; or not there yet."""
import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import fault_case  # noqa: E402
from lib.case import main  # noqa: E402
from lib.ledger_case import LedgerByProxy, LedgerCase  # noqa: E402
from lib.pg import PgError  # noqa: E402
from lib.postgres import NoSmallDisk, Single, SmallDisk  # noqa: E402
from lib.server import eventually  # noqa: E402


class Refusals(LedgerByProxy):
    def again(self, sql):
        """Changes what the role may do. Its sessions keep what they had, so they are cut off, at the proxy: one that is
        being opened meanwhile is not in the server's list yet, and would serve on."""
        self.query(sql)
        self.proxy.hang_up()

    def changed(self, change, back):
        self.under_load(lambda: self.again(change), lambda: self.again(back), count=4)

    def test_read_only(self):
        """As a primary that has become a replica: reads go on."""
        self.changed("alter role perigee set default_transaction_read_only = on",
                     "alter role perigee reset default_transaction_read_only")

    def test_wrong_password(self):
        password = self.engine.password
        self.changed("alter role perigee password 'another word'", f"alter role perigee password '{password}'")
        for secret in (password, "another word"):
            self.assertNotIn(secret, self.server.log())

    def test_no_connections_for_the_role(self):
        self.changed("alter role perigee connection limit 0", "alter role perigee connection limit -1")

    def test_no_right(self):
        """A fault of the installation, not the client's."""
        self.changed("alter role perigee nologin", "alter role perigee login")


class Crowded(fault_case.Late, LedgerCase):
    """Others have taken all connections before the server starts."""

    @classmethod
    def make_engine(cls):
        return Single(settings=["max_connections = 16", "superuser_reserved_connections = 3"])

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.others = []

    @classmethod
    def stop_engine(cls):
        for other in cls.others:
            other.close()
        super().stop_engine()

    @classmethod
    def make_server(cls):
        server = super().make_server()
        eventually(lambda: cls.query("select 1 from pg_stat_activity where usename = 'perigee'") == [],
                   "the migration's sessions have gone")
        cls.occupy()
        return server

    @classmethod
    def occupy(cls):
        """Takes what is free. One is kept for questions."""
        with contextlib.suppress(PgError):
            while len(cls.others) < 100:
                cls.others.append(cls.engine.node.client("perigee"))
        cls.others.pop().close()

    def test_a_start_without_room(self):
        self.check_without_engine()
        while self.others:
            self.others.pop().close()
        self.check_service()
        self.keep()


class DiskFull(LedgerCase):
    @classmethod
    def make_engine(cls):
        try:
            return SmallDisk()
        except NoSmallDisk as error:
            raise unittest.SkipTest(str(error)) from error

    def test_disk_full(self):
        """What fits into pages that are there already may go on; nothing is half done."""
        self.under_load(self.engine.fill, self.engine.empty, everything=False, count=4)
        self.assertIn("No space left on device", self.engine.node.log())


class Absent(fault_case.Absent, LedgerByProxy):
    pass


if __name__ == "__main__":
    main()
