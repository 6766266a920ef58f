#!/usr/bin/env python3
"""test_redis_election.py: Sentinels that elect another master, and that die themselves, under load."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.cart_case import CartCase  # noqa: E402
from lib.engines import Sentinels, until  # noqa: E402
from lib.fault_case import LONG  # noqa: E402

ROUNDS = 3 if LONG else 1


class OnSentinel(CartCase):
    @classmethod
    def make_engine(cls):
        return Sentinels()

    def check_without_master(self, replica):
        """Nobody takes a write as long as the replica is one still: an election may come at any time."""
        self.check_unrelated()
        answer = self.ask()
        if replica.call("ROLE")[0] == b"slave":
            self.check_refused(answer)
        else:
            self.assertIn(answer.status, (self.done, 503), answer)

    def test_failover(self):
        pair = [self.engine.master, self.engine.replica]
        for _ in range(ROUNDS):
            with self.clients(8) as shoppers:
                self.more(shoppers)
                port = until(self.engine.master_port, "the Sentinels agree")
                lost = next(node for node in pair if node.port == port)
                replica = next(node for node in pair if node is not lost)
                until(replica.follows, "the replica follows")
                with self.replaced(shoppers, lost, replica):
                    lost.kill()
                    self.ended(shoppers)
                    self.check_without_master(replica)
                    until(lambda gone=port: self.engine.master_port() not in (None, gone), "the Sentinels elect")
                    self.await_service()
                self.more(shoppers)
            self.settle(shoppers)
            lost.start(loaded=False)
            until(lambda node=lost: node.follows() and self.engine.settled(), "the old master follows the new one")
        self.await_service()

    def test_without_sentinels(self):
        """A master that serves goes on without them, and failing over works again once they are back."""
        for node in self.engine.sentinels:
            node.kill()
        for _ in range(10):
            self.keep()
        for node in self.engine.sentinels:
            node.start(loaded=False)
        until(self.engine.settled, "the Sentinels are back")
        self.await_service()


if __name__ == "__main__":
    main()
