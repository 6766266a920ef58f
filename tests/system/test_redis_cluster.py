#!/usr/bin/env python3
"""test_redis_cluster.py: the driver on a real Cluster of six: slots move, masters change and die, under load."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.engines import Cluster, until  # noqa: E402 pylint: disable=wrong-import-position
from lib.resp import RespError  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import eventually  # noqa: E402 pylint: disable=wrong-import-position
from lib.tally import Tally, TallyCase  # noqa: E402 pylint: disable=wrong-import-position

MOVES = 4


class OnCluster(TallyCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def find(self, key):
        """The master of a key, as the first that answers sees it."""
        for node in self.cluster.nodes:
            with contextlib.suppress(OSError, RespError), node.client() as client:
                slot = client.call("CLUSTER", "KEYSLOT", key)
                for entry in client.call("CLUSTER", "SLOTS"):
                    if entry[0] <= slot <= entry[1]:
                        return next(other for other in self.cluster.nodes if other.port == entry[2][1])
        return None

    def tally(self, options=""):
        return Tally(self.cluster.url + options, self.find)

    @staticmethod
    def asked(node, key):
        """What a server that imports the key's slot has there."""
        with node.client() as client:
            client.call("ASKING")
            return int(client.call("GET", key) or 0)

    def move(self, tally, key, source, target):
        """Moves a key's slot, and stays in between until the key was counted there by way of ASK."""
        slot = source.call("CLUSTER", "KEYSLOT", key)
        ids = {node: node.call("CLUSTER", "MYID") for node in (source, target)}
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        for name in source.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
            self.assertIn(source.call("MIGRATE", "127.0.0.1", target.port, name, 0, 60000), (b"OK", b"NOKEY"))
        before = self.asked(target, key)
        eventually(lambda: self.asked(target, key) >= before + 3, f"{key} is asked for\n{tally.log()[-3000:]}", 240)
        for node in (target, source, *self.cluster.masters()):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    def test_moving_slots(self):
        """A slot with a busy key goes back and forth, and nobody notices."""
        with self.tally() as tally:
            tally.more()
            key = tally.keys[0]
            for _ in range(MOVES):
                source = self.find(key)
                target = next(node for node in self.cluster.masters() if node is not source)
                self.move(tally, key, source, target)
                tally.more([key])
            until(self.cluster.settled, "the Cluster is whole")
            tally.more()
            self.check_unnoticed(tally.stop())

    def test_a_master_dies(self):
        """What was under way is reported; the rest goes on, and that too by itself when a replica has taken over."""
        with self.tally() as tally:
            tally.more()
            lost = self.find(tally.keys[0])
            others = [key for key in tally.keys if self.find(key) is not lost]
            self.assertTrue(others)
            new = self.cluster.replica_of(lost)
            floors = tally.floors([new, *self.cluster.masters()])
            lost.kill()
            until(lambda: len(self.cluster.masters()) == 3 and lost not in self.cluster.masters(),
                  "a replica has taken over")
            tally.more()
            lost.start(loaded=False)
            until(self.cluster.settled, "the Cluster is whole")
            tally.more()
            self.check(tally.stop(), floors)

    def test_a_planned_failover(self):
        with self.tally() as tally:
            tally.more()
            old = self.find(tally.keys[0])
            new = self.cluster.replica_of(old)
            new.call("CLUSTER", "FAILOVER")
            until(lambda: new in self.cluster.masters() and old not in self.cluster.masters(), "they change roles")
            until(self.cluster.settled, "the Cluster is whole")
            tally.more()
            self.check(tally.stop())

    def test_replicas(self):
        """Reads that allow it go to replicas, and to the master when one dies."""
        # A master whose slots hold none of the counters has a replica that nobody needs to ask.
        with self.tally("/?replicas=yes") as tally:
            def reads(node):
                with node.client() as client:
                    return "cmdstat_get" in client.info("commandstats")
            for node in self.cluster.replicas():
                node.call("CONFIG", "RESETSTAT")
            lost = eventually(lambda: next(filter(reads, self.cluster.replicas()), None), "replicas are read from", 240)
            lost.kill()
            tally.more()
            lost.start(loaded=False)
            until(self.cluster.settled, "the Cluster is whole")
            tally.more()
            self.check_reads(tally.stop())


if __name__ == "__main__":
    main()
