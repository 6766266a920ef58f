#!/usr/bin/env python3
"""test_redis_products.py: products by id from Redis: the very bytes that are kept, and never an older state than the
last that a write has answered, on two workers; lists are kept until the next write."""
import concurrent.futures
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.on_engine import OnRedis  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import eventually  # noqa: E402 pylint: disable=wrong-import-position

ACME = "01936b5c-7a00-7000-8000-00000000acfe"
NOBODY = "01936b5c-0000-7000-8000-000000000000"


class RedisProducts(OnRedis, Case):
    number = 0

    def product(self, **fields):
        RedisProducts.number += 1
        body = {"name": "Thing", "sku": f"THING-{self.number}", "price": "10.00", "stock": 1000, **fields}
        return self.expect(201, "POST", "/api/products", json=body, key="owner").json

    def redis_call(self, *words):
        with self.engine.node.client() as client:
            return client.call(*words)

    def kept(self, product_id):
        return self.redis_call("GET", f"product:{ACME}:{product_id}")

    def served(self, status, path, text):
        """The answer once it is this text: on a busy machine a request may do without the cache for a while."""
        def look():
            answer = self.expect(status, "GET", path)
            return answer if answer.text == text else None
        return eventually(look, text)

    def test_what_is_kept_is_what_is_sent(self):
        product = self.product(price="29.90", attributes={"color": "Grün", "size": 1.50})
        path = "/api/products/" + product["id"]
        first = self.expect(200, "GET", path)
        self.assertEqual(first.json, product)
        eventually(lambda: self.call("GET", path).body == first.body and self.kept(product["id"]) == b"1 " + first.body,
                   "the answer is kept")
        self.assertIn(b'"price":29.90', first.body)
        left = self.redis_call("PTTL", f"product:{ACME}:{product['id']}")
        self.assertTrue(0 < left <= 120000, left)
        self.redis_call("SET", f"product:{ACME}:{product['id']}", '7 {"name":"from the cache","version":7}')
        again = self.served(200, path, '{"name":"from the cache","version":7}')
        self.assertEqual((again.headers.get("ETag"), again.headers.get("Content-Type")), ('"7"', "application/json"))
        self.served(200, path + "?fields=name", '{"name":"from the cache"}')
        eventually(lambda: self.call("GET", path, headers={"If-None-Match": '"7"'}).status == 304, "304")

    def test_that_there_is_none_is_kept_for_a_while(self):
        eventually(lambda: self.call("GET", "/api/products/" + NOBODY).status == 404 and self.kept(NOBODY) == b"0 null",
                   "that there is none is kept")
        self.expect(404, "GET", "/api/products/" + NOBODY)
        self.expect(404, "GET", "/api/products/no-id")
        self.assertIsNone(self.kept("no-id"))

    def test_each_write_is_seen_at_once(self):
        product = self.product()
        path = "/api/products/" + product["id"]
        for number in range(1, 12):
            self.expect(200, "POST", path + "/stock", json={"set": number}, key="owner")
            self.assertEqual([self.expect(200, "GET", path).json["stock"] for _ in range(4)], [number] * 4)
        self.expect(200, "PATCH", path, json={"price": "12.50"}, key="owner")
        self.assertEqual(self.expect(200, "GET", path).json["price"], 12.5)
        self.expect(204, "DELETE", path, key="owner")
        for _ in range(4):
            self.expect(404, "GET", path)

    def test_each_write_raises_the_number_that_lists_are_kept_under(self):
        def names(path):
            return {item["name"] for item in self.expect(200, "GET", path).json["items"]}

        def number():
            return int(self.redis_call("GET", f"gen:{ACME}:products") or 0)
        for path, space in (("/api/products?limit=100", "products"), ("/api/products/search?q=listed", "search")):
            product = self.product(name="Listed first")
            for change in ("Listed second", "Listed third"):
                # Kept under today's number: a list that another worker has just loaded would do as well.
                eventually(lambda p=path, s=space: names(p) and
                           self.redis_call("KEYS", f"{s}:{ACME}:{number()}:*"), "a list is kept")
                before = number()
                self.expect(200, "PATCH", "/api/products/" + product["id"], json={"name": change}, key="owner")
                self.assertGreater(number(), before)
                for _ in range(8):
                    self.assertIn(change, names(path))

    def test_who_loads_beside_a_write_does_not_keep_what_was_before(self):
        """Of a product that nobody has asked for yet: some load it while another one changes it."""
        def read(path):
            return [self.call("GET", path).json["version"] for _ in range(5)]

        def write(path):
            return self.call("POST", path + "/stock", json={"adjust": -1}, key="owner").json["version"]

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for _ in range(12):
                path = "/api/products/" + self.product()["id"]
                reads = [pool.submit(read, path) for _ in range(4)]
                self.assertEqual(pool.submit(write, path).result(), 2)
                self.assertEqual(self.call("GET", path).json["version"], 2)
                for done in reads:
                    self.assertLessEqual(set(done.result()), {1, 2})
                self.assertEqual(read(path), [2] * 5)

    def test_a_full_redis_serves_nothing_old(self):
        """On neither worker, also on the one that has not made the change."""
        product, other = self.product(), self.product()
        paths = ["/api/products/" + thing["id"] for thing in (product, other)]
        for thing, path in zip((product, other), paths):
            eventually(lambda path=path, thing=thing: self.call("GET", path) and self.kept(thing["id"]), "it is kept")
        self.redis_call("CONFIG", "SET", "maxmemory", "1")
        try:
            self.expect(200, "PATCH", paths[0], json={"price": "12.50"}, key="owner")
            self.assertEqual({self.call("GET", paths[0]).json["price"] for _ in range(30)}, {12.5})
            self.expect(204, "DELETE", paths[1], key="owner")
            self.assertEqual({self.call("GET", paths[1]).status for _ in range(30)}, {404})
        finally:
            self.redis_call("CONFIG", "SET", "maxmemory", "0")

    def test_what_redis_was_not_told_of_it_learns_later(self):
        product = self.product()
        path = "/api/products/" + product["id"]
        self.expect(200, "GET", path)
        key = f"product:{ACME}:{product['id']}"
        old = self.redis_call("GET", key)
        self.engine.node.pause()
        try:
            changed = self.call("PATCH", path, json={"name": "Another"}, key="owner")
        finally:
            self.engine.node.resume()
        self.assertIn(changed.status, (200, 503))
        eventually(lambda: self.redis_call("GET", key) not in (None, old), "the sweep puts the new state there")
        self.assertEqual(json.loads(self.redis_call("GET", key).split(b" ", 1)[1])["name"], "Another")
        self.assertEqual(self.expect(200, "GET", path).json["name"], "Another")


if __name__ == "__main__":
    main()
