#!/usr/bin/env python3
"""test_redis_replicas.py: a shop's cached lists are read from replicas, by either way to them, and without them."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.cart_case import CartCase  # noqa: E402
from lib.engines import Sentinels, Single, until  # noqa: E402
from lib.server import Server, eventually  # noqa: E402


class Replicas:
    """`replica` is a node that follows the master."""

    asked = 0

    def reads(self):
        """How many reads the replica has answered."""
        with self.replica.client() as client:
            return int(client.info("commandstats").get("cmdstat_get", "calls=0").split(",")[0][6:])

    def names(self):
        """Those of a list that no worker has asked for yet."""
        self.asked += 1
        answer = self.expect(200, "GET", f"/api/products?limit=50&maxPrice={self.asked + 1000}")
        return [item["name"] for item in answer.json["items"]]

    def add_product(self, name):
        body = {"name": name, "sku": name.upper(), "price": "1.00", "stock": 1}
        self.assertEqual(self.call("POST", "/api/products", json=body, key="owner").status, 201)

    def more_reads(self):
        before = self.reads()
        eventually(lambda: self.names() and self.reads() > before, "the replica is read from", 120)

    def test_lists(self):
        until(self.replica.follows, "the replica follows")
        self.more_reads()
        self.add_product("Replicated")
        self.assertIn("Replicated", self.names())  # however far behind the replica is
        self.replica.kill()
        self.assertIn("Replicated", self.names())
        self.add_product("Alone")
        self.assertIn("Alone", self.names())
        self.replica.start()
        until(self.replica.follows, "the replica follows again")
        self.more_reads()
        self.assertIn("Alone", self.names())


class ByReadUrl(Replicas, CartCase):
    """One server, and a replica that `redis_read_url` names."""

    @classmethod
    def make_engine(cls):
        return Single()

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.second = Single(settings=[f"replicaof 127.0.0.1 {cls.engine.node.port}"])
        cls.replica = cls.second.node

    @classmethod
    def stop_engine(cls):
        cls.second.close()
        super().stop_engine()

    @classmethod
    def make_server(cls):
        return Server(redis_url=cls.engine.url, redis_read_url=cls.second.url)


class BySentinels(Replicas, CartCase):
    """Replicas that the Sentinels know, with `replicas=yes`."""

    @classmethod
    def make_engine(cls):
        return Sentinels()

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.replica = cls.engine.replica

    @classmethod
    def engine_url(cls):
        return cls.engine.url + "?replicas=yes"


if __name__ == "__main__":
    main()
