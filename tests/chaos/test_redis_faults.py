#!/usr/bin/env python3
"""test_redis_faults.py: one Redis that hangs, dies, refuses, falls silent, is cut off or says no, under load."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import fault_case  # noqa: E402
from lib.case import main  # noqa: E402
from lib.cart_case import CartCase, CartsByProxy  # noqa: E402
from lib.engines import Single, until  # noqa: E402
from lib.server import eventually  # noqa: E402

PASSWORD = "a word, with: signs@"
# Deadlines of its own, below those of a request.
SHORT = {"redis_connect_ms": 1000, "redis_command_ms": 1000}


class Faults(fault_case.Faults, CartsByProxy):
    """The server's rate limits pass everything while nothing can be counted."""

    options = {"password": PASSWORD, "durable": True}
    settings = {**SHORT, "rate_limit": "1000000/60s"}
    reads, writes = 40, (400, 20)


class Closed(CartsByProxy):
    """Limited routes are refused while nothing can be counted."""

    settings = {"rate_limit": "1000000/60s", "rate_limit_without_store": "closed"}

    def test_closed(self):
        for fault in (self.proxy.refuse, self.proxy.silent):
            eventually(lambda: self.call("GET", "/api/products").status == 200, "limited routes are served")
            fault()
            self.check_refused(self.call("GET", "/api/products"))
            self.expect(200, "GET", "/healthz", tenant=None)
            self.proxy.open()
            self.await_service()


class Refusals(CartCase):
    """Redis is there, and says no."""

    settings = SHORT

    @classmethod
    def make_engine(cls):
        # A restart loads key by key, as slowly as a test says, and looks at its clients in between.
        return Single(password=PASSWORD, durable=True, settings=["loading-process-events-interval-bytes 1024"])

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.control = cls.engine.node.client()

    @classmethod
    def stop_engine(cls):
        cls.control.close()
        super().stop_engine()

    def broken(self, fault, cure):
        self.under_load(fault, cure, count=4)
        self.idle(fault, cure)

    def test_out_of_memory(self):
        self.broken(lambda: self.control.call("CONFIG", "SET", "maxmemory", "1"),
                     lambda: self.control.call("CONFIG", "SET", "maxmemory", "0"))

    def test_read_only(self):
        """A master that became a replica of one that does not answer: reads go on, writes are refused."""
        self.broken(lambda: self.control.call("REPLICAOF", "127.0.0.1", "1"),
                     lambda: self.control.call("REPLICAOF", "NO", "ONE"))

    def change_password(self, word):
        self.control.call("CONFIG", "SET", "requirepass", word)
        self.control.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.control.call("CLIENT", "KILL", "TYPE", "pubsub")

    def test_wrong_password(self):
        self.broken(lambda: self.change_password("another"), lambda: self.change_password(PASSWORD))
        self.assertNotIn(PASSWORD, self.server.log())
        self.assertNotIn("another", self.server.log())

    def load_slowly(self):
        node = self.engine.node
        with node.client() as client:
            client.call("DEBUG", "POPULATE", "2000", "filler", "2000")
            client.call("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
            client.call("BGREWRITEAOF")
            until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "0"
                  and client.info("persistence")["aof_rewrite_scheduled"] == "0", "the data are written")
        self.control.close()
        self.engine.settings.append("key-load-delay 100000")
        node.configure()
        node.kill()
        node.start(loaded=False)
        until(node.answers, "it loads")
        type(self).control = node.client()
        self.assertEqual(self.control.info("persistence")["loading"], "1")

    def load_on(self):
        self.control.call("CONFIG", "SET", "key-load-delay", "0")
        self.engine.settings.pop()
        self.engine.node.configure()
        until(lambda: self.control.info("persistence")["loading"] == "0", "it has loaded")

    def test_loading(self):
        self.broken(self.load_slowly, self.load_on)
        self.assertEqual(self.engine.node.call("DBSIZE") > 2000, True)


class Absent(fault_case.Absent, CartsByProxy):
    settings = SHORT


if __name__ == "__main__":
    main()
