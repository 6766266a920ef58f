#!/usr/bin/env python3
"""test_redis_carts.py: everything that test_carts.py asks of a cart, of two workers on one Redis, and the shape
of the hash that another program finds there."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.on_engine import OnRedis  # noqa: E402 pylint: disable=wrong-import-position
from system import test_carts  # noqa: E402 pylint: disable=wrong-import-position

ACME = "01936b5c-7a00-7000-8000-00000000acfe"
WEEK_MS = 7 * 24 * 3600 * 1000


class RedisCarts(OnRedis, test_carts.Carts):
    def redis_call(self, *words):
        with self.engine.node.client() as client:
            return client.call(*words)

    def fields(self, session):
        flat = [word.decode() for word in self.redis_call("HGETALL", f"cart:{ACME}:{session}")]
        return dict(zip(flat[::2], flat[1::2]))

    def test_the_hash_has_the_documents_shape(self):
        session, product = self.new_session(), self.product(price="29.90", weightGrams=10)
        cart = self.add(session, product, 2)
        fields = self.fields(session)
        self.assertEqual(json.loads(fields["item:" + product["id"]]), {
            "productId": product["id"], "quantity": 2, "price": 29.9, "sku": product["sku"],
            "name": product["name"], "position": 1})
        self.assertIn('"price":29.90', fields["item:" + product["id"]])
        self.assertEqual((fields["subtotal"], fields["codes"], fields["id"]), ("59.80", "[]", cart["id"]))
        self.assertEqual(fields["total"], f"{cart['total']:.2f}")
        self.assertEqual((fields["updatedAt"], fields["version"]), (cart["updatedAt"], str(cart["version"])))
        left = self.redis_call("PTTL", f"cart:{ACME}:{session}")
        self.assertTrue(WEEK_MS - 3600000 < left <= WEEK_MS, left)
        self.expect(200, "DELETE", "/api/cart/items/" + product["id"], session=session)
        self.assertNotIn("item:" + product["id"], self.fields(session))

    def test_what_others_put_into_a_line_stays(self):
        session, product = self.new_session(), self.product(price="5.00")
        self.add(session, product)
        key, name = f"cart:{ACME}:{session}", "item:" + product["id"]
        line = json.loads(self.fields(session)[name])
        line["gift"] = {"wrap": 1.50}
        self.redis_call("HSET", key, name, json.dumps(line))
        self.redis_call("HSET", key, "item:broken", "{")
        self.assertEqual(self.add(session, product)["items"][0]["quantity"], 2)
        self.assertEqual(json.loads(self.fields(session)[name])["gift"], {"wrap": 1.5})
        self.redis_call("HSET", key, name, f'{{"productId":"{product["id"]}","quantity":4,"price":4.00}}')
        cart = self.cart(session)
        self.assertEqual((cart["items"][0]["quantity"], cart["items"][0]["priceChanged"]), (4, {"from": 4, "to": 5}))


if __name__ == "__main__":
    main()
