#!/usr/bin/env python3
"""test_redis_changes.py: a tenant's changed settings reach every worker of two servers that share one Redis."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import engines  # noqa: E402 pylint: disable=wrong-import-position
from lib.case import call, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server, eventually  # noqa: E402 pylint: disable=wrong-import-position

ACME = "01936b5c-7a00-7000-8000-00000000acfe"
# As many connections in a row must agree: the kernel spreads them over the workers.
CALLS = 24
SET = """
local stores = require "stores"
local changed = stores.documents.update("*", "tenants", arg[1], {{ set = {{ settings = {{
  currency = "USD", lowStockThreshold = {threshold} }} }} }})
if not changed then error("the tenant could not be changed") end
{then_}
return 0
"""
TELL = 'assert(require("lib.read_through").changed(arg[1], "config"))'


class Changes(unittest.TestCase):
    redis = None
    servers = ()

    @classmethod
    def setUpClass(cls):
        cls.redis = engines.Single()
        cls.servers = [Server(redis_url=cls.redis.url, workers=2) for _ in range(2)]
        for server in cls.servers:
            server.start()
            made = call(server.port, "POST", "/api/products", key="owner", json={
                "name": "Tent", "sku": "T-1", "price": 10, "stock": 500, "status": "active"})
            if made.status != 201:
                raise AssertionError(made)

    @classmethod
    def tearDownClass(cls):
        try:
            for server in cls.servers:
                code = server.stop()
                if code != 0 or "AddressSanitizer" in server.log():
                    raise AssertionError(f"the server ended with {code}:\\n{server.log()[-6000:]}")
        finally:
            for server in cls.servers:
                server.kill()
                server.remove()
            cls.redis.close()

    def script(self, server, threshold, then=""):
        path = os.path.join(server.folder, "change.lua")
        with open(path, "w", encoding="utf-8") as out:
            out.write(SET.format(threshold=threshold, then_=then))
        done = server.run("script", path, ACME)
        self.assertEqual(done.returncode, 0, done.stderr)

    def low(self, server):
        """Whether the tent counts as low, for each of many connections."""
        answers = [call(server.port, "GET", "/api/products/low-stock") for _ in range(CALLS)]
        return {bool(answer.json["items"]) for answer in answers}

    def expect(self, low):
        for server in self.servers:
            eventually(lambda server=server: self.low(server) == {low}, f"every worker knows: {low}")

    def test_a_change_reaches_every_worker(self):
        self.expect(False)
        for server in self.servers:
            self.script(server, 1000, TELL if server is self.servers[-1] else "")
        self.expect(True)
        for server in self.servers:
            self.script(server, 1, TELL if server is self.servers[-1] else "")
        self.expect(False)

    def test_what_a_broken_subscription_missed_counts_as_changed(self):
        self.expect(False)
        for server in self.servers:
            self.script(server, 1000)
        node = self.redis.node
        node.call("DEL", "config:" + ACME)
        node.call("CLIENT", "KILL", "TYPE", "pubsub")
        self.expect(True)
        for server in self.servers:
            self.script(server, 1)
        node.call("DEL", "config:" + ACME)
        node.call("CLIENT", "KILL", "TYPE", "pubsub")
        self.expect(False)

    def test_the_keys_are_those_of_the_document(self):
        node = self.redis.node

        def keys_of(pattern):
            """What a request leaves in the cache; not on a machine so busy that asking it took too long."""
            call(self.servers[0].port, "GET", "/api/products")
            call(self.servers[0].port, "GET", "/api/products/search?q=tent")
            return node.call("KEYS", pattern)
        for pattern, most in ((f"config:{ACME}", 300), (f"products:{ACME}:*:*", 120), (f"search:{ACME}:*:*", 120)):
            keys = eventually(lambda pattern=pattern: keys_of(pattern), pattern)
            self.assertEqual(node.call("TYPE", keys[0]), b"string")
            self.assertIn(int(node.call("TTL", keys[0])), range(0, most + 1))
        self.assertEqual(json.loads(node.call("GET", f"config:{ACME}") or '{"id": "%s"}' % ACME)["id"], ACME)


if __name__ == "__main__":
    main()
