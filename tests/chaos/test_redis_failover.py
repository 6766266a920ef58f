#!/usr/bin/env python3
"""test_redis_failover.py: a Cluster that moves slots and loses masters, under load."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.cart_case import CartCase  # noqa: E402
from lib.engines import Cluster, until  # noqa: E402
from lib.fault_case import LONG  # noqa: E402
from lib.server import eventually  # noqa: E402

ROUNDS = 3 if LONG else 1


class OnCluster(CartCase):
    @classmethod
    def make_engine(cls):
        return Cluster()

    def carts_on(self, node, session="*"):
        return node.call("KEYS", "cart:*:" + session)

    def test_carts_are_spread(self):
        def everywhere():
            self.keep()
            return all(self.carts_on(node) for node in self.engine.masters())
        eventually(everywhere, "every master holds carts")

    def holder(self, shoppers):
        """The master that has the first shopper's cart."""
        return next(node for node in self.engine.masters() if self.carts_on(node, shoppers.accounts[0].session))

    def test_resharding_while_serving(self):
        """Nobody notices."""
        with self.clients(16) as shoppers:
            eventually(lambda: shoppers.accounts[0].added, "the first shopper has a cart")
            for _ in range(ROUNDS):
                target = self.engine.masters()[0]
                source = self.holder(shoppers)
                if source is target:
                    target = self.engine.masters()[1]
                before = self.engine.slots_of(target)
                self.engine.reshard(source, target, 3000)
                until(self.engine.settled, "the Cluster is whole")
                self.assertEqual(self.engine.slots_of(target), before + 3000)
                self.more(shoppers)
                self.engine.reshard(target, source, 3000)
                until(self.engine.settled, "the Cluster is whole")
            self.more(shoppers)
        self.assertEqual(shoppers.refused, 0)
        self.settle(shoppers)

    def test_failover(self):
        """What was under way is lost at most, and each of it is reported."""
        for _ in range(ROUNDS):
            with self.clients(16) as shoppers:
                self.more(shoppers)
                eventually(lambda some=shoppers: some.accounts[0].added, "the first shopper has a cart")
                lost = self.holder(shoppers)
                others = [node for node in self.engine.masters() if node is not lost]
                with self.replaced(shoppers, lost, self.engine.replica_of(lost), others):
                    lost.kill()
                    self.ended(shoppers, 1)
                    self.expect(200, "GET", "/api/products/" + self.product)
                    until(lambda node=lost: len(self.engine.masters()) == 3 and node not in self.engine.masters(),
                          "a replica has taken over")
                    self.await_service()
                self.more(shoppers)
            self.settle(shoppers)
            lost.start(loaded=False)
            until(self.engine.settled, "the Cluster is whole")
        self.await_service()

    def test_a_master_that_hangs(self):
        """Its replica takes over; when it wakes up as a replica, nothing is asked of it any more."""
        with self.clients(8) as shoppers:
            self.more(shoppers)
            hung = self.engine.masters()[1]
            other = self.engine.masters()[0]
            hung.pause()
            try:
                until(lambda: hung.port not in {entry[2][1] for entry in other.call("CLUSTER", "SLOTS")},
                      "a replica has taken over")
                self.await_service()
            finally:
                hung.resume()
            until(self.engine.settled, "the Cluster is whole")
            self.more(shoppers)
        self.await_service()
        self.assertEqual(shoppers.faults, [])


if __name__ == "__main__":
    main()
