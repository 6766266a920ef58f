#!/usr/bin/env python3
"""test_redis_sentinel.py: the driver behind three real Sentinels: masters change and die, under load."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.engines import MASTER_NAME, Sentinels, until  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import eventually  # noqa: E402 pylint: disable=wrong-import-position
from lib.tally import Tally, TallyCase  # noqa: E402 pylint: disable=wrong-import-position


class OnSentinel(TallyCase):
    @classmethod
    def setUpClass(cls):
        cls.group = Sentinels()

    @classmethod
    def tearDownClass(cls):
        cls.group.close()

    def master(self, _key=None):
        """Whom the Sentinels name, if it is one."""
        port = self.group.master_port()
        for node in (self.group.master, self.group.replica):
            if node.port == port and node.call("ROLE")[0] == b"master":
                return node
        return None

    def other(self, node):
        return self.group.replica if node is self.group.master else self.group.master

    def tally(self, options=""):
        return Tally(self.group.url + options, self.master)

    def test_the_master_dies(self):
        """What was under way is reported, and all goes on by itself; the old one, as a replica, is left alone."""
        with self.tally() as tally:
            tally.more()
            lost = self.master()
            new = self.other(lost)
            until(new.follows, "the replica follows")
            floors = tally.floors([new])
            lost.kill()
            until(lambda: self.master() is new, "the Sentinels elect")
            tally.more()
            lost.start(loaded=False)
            until(lambda: lost.follows() and self.group.settled(), "the old master follows the new one")
            tally.more()
            self.check(tally.stop(), floors)

    def test_a_planned_failover(self):
        """Sentinels promote the replica before they tell the old master, which meanwhile confirms what is lost then."""
        with self.tally() as tally:
            tally.more()
            old = self.master()
            new = self.other(old)
            until(self.group.settled, "the group is whole")
            floors = tally.floors([new])
            until(lambda: self.group.sentinels[0].call("SENTINEL", "FAILOVER", MASTER_NAME) == b"OK", "they begin")
            until(lambda: self.master() is new, "the Sentinels elect")
            tally.more()
            until(lambda: old.follows() and self.group.settled(), "the old master follows the new one")
            tally.more()
            self.check(tally.stop(), floors)

    def test_replicas(self):
        """Reads that allow it go to the replica, and to the master when it dies."""
        until(self.group.settled, "the group is whole")
        with self.tally("?replicas=yes") as tally:
            tally.more()
            replica = self.other(self.master())
            replica.call("CONFIG", "RESETSTAT")

            def reads():
                with replica.client() as client:
                    return "cmdstat_get" in client.info("commandstats")
            eventually(reads, "the replica is read from", 240)
            replica.kill()
            tally.more()
            replica.start(loaded=False)
            until(self.group.settled, "the group is whole")
            tally.more()
            self.check_reads(tally.stop())


if __name__ == "__main__":
    main()
