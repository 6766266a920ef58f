#!/usr/bin/env python3
"""test_examples.py: the examples do what their README says, on the real server."""
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.server import ROOT, Server  # noqa: E402

SESSION = "session-of-the-examples"
ROUTE = '["GET /api/cart"] = cart.get,'


class Examples(Case):
    @classmethod
    def make_server(cls):
        server = Server()
        shutil.copytree(os.path.join(ROOT, "examples", "bookshop"), os.path.join(server.tenants, "bookshop"))
        shutil.copy(os.path.join(ROOT, "examples", "related", "related.lua"), os.path.join(server.scripts, "api"))
        path = os.path.join(server.scripts, "main.lua")
        with open(path, encoding="utf-8") as source:
            text = source.read()
        assert ROUTE in text
        text = text.replace(ROUTE, ROUTE + '\n["GET /api/products/:id/related"] = require("api.related").get,')
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return server

    def make(self, sku, price, category):
        body = {"name": "Example " + sku, "sku": sku, "price": price, "category": [category], "stock": 50}
        return self.expect(201, "POST", "/api/products", json=body, key="owner", tenant="bookshop").json

    def test_the_bookshop_passes_its_check(self):
        done = self.server.run("check", os.path.join(self.server.tenants, "bookshop"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_bookshop_prices(self):
        for sku, price, category, quantity in (("BOOK-1", "24.00", "Books", 3), ("PEN-1", "3.50", "Stationery", 4)):
            product = self.make(sku, price, category)
            answer = self.expect(200, "POST", "/api/cart/items", tenant="bookshop", session=SESSION,
                                 json={"productId": product["id"], "quantity": quantity})
        cart = answer.json
        self.assertEqual((cart["currency"], cart["subtotal"], cart["discount"], cart["shipping"], cart["total"]),
                         ("EUR", 86, 1.4, 0, 84.6))
        self.assertTrue(all(line["inclusive"] for line in cart["taxLines"]))

    def test_the_handler_answers_related_products(self):
        one, two = self.make("ATLAS-1", "30", "Atlases"), self.make("ATLAS-2", "40", "Atlases")
        self.make("OTHER-1", "5", "Others")
        found = self.expect(200, "GET", f"/api/products/{one['id']}/related", tenant="bookshop").json
        self.assertEqual([item["id"] for item in found["items"]], [two["id"]])
        self.assertEqual(found["items"][0]["price"], 40)
        again = self.expect(200, "GET", f"/api/products/{one['id']}/related", tenant="bookshop").json
        self.assertEqual(again, found)
        self.expect(404, "GET", "/api/products/none/related", tenant="bookshop")


if __name__ == "__main__":
    main()
