#!/usr/bin/env python3
"""test_redis_election.py: Sentinels that elect another master, and that die themselves, under load."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.chaos import LONG, ChaosCase  # noqa: E402
from lib.engines import Sentinels, until  # noqa: E402

ROUNDS = 3 if LONG else 1


class OnSentinel(ChaosCase):
    @classmethod
    def start_engine(cls):
        cls.group = Sentinels()

    @classmethod
    def stop_engine(cls):
        cls.group.close()

    @classmethod
    def redis_url(cls):
        return cls.group.url

    def test_failover(self):
        pair = [self.group.master, self.group.replica]
        for _ in range(ROUNDS):
            with self.shop(8) as shoppers:
                self.more(shoppers)
                port = self.group.master_port()
                lost = next(node for node in pair if node.port == port)
                replica = next(node for node in pair if node is not lost)
                until(replica.follows, "the replica follows")
                with self.replaced(shoppers, lost, replica):
                    lost.kill()
                    self.ended(shoppers)
                    self.check_without_redis()
                    until(lambda gone=port: self.group.master_port() not in (None, gone), "the Sentinels elect")
                    self.await_service()
                self.more(shoppers)
            self.settle(shoppers)
            lost.start(loaded=False)
            until(lambda node=lost: node.follows() and self.group.settled(), "the old master follows the new one")
        self.await_service()

    def test_without_sentinels(self):
        """A master that serves goes on without them, and failing over works again once they are back."""
        for node in self.group.sentinels:
            node.kill()
        for _ in range(10):
            self.fill()
        for node in self.group.sentinels:
            node.start(loaded=False)
        until(self.group.settled, "the Sentinels are back")
        self.await_service()


if __name__ == "__main__":
    main()
