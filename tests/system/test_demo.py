#!/usr/bin/env python3
"""test_demo.py: what `./dev run` shows: two shops with their catalogues and rules, told apart by host and header."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.server import ROOT, eventually  # noqa: E402

SESSION = "demo-session-of-a-shopper"


class Demo(Case):
    @classmethod
    def prepare(cls):
        for shop in ("acme", "tokyo"):
            done = cls.server.run("import", "--tenant", shop, os.path.join(ROOT, "demo", shop + ".csv"), "--strict")
            assert done.returncode == 0, done.stderr

    def total(self, tenant):
        return self.expect(200, "GET", "/api/products/search?size=1", tenant=tenant).json["total"]

    def test_both_shops_are_full(self):
        self.assertGreaterEqual(self.total("acme"), 60)
        self.assertGreaterEqual(self.total("tokyo"), 40)

    def test_a_shop_is_found_by_domain_and_by_header(self):
        for host in ("acme.localhost", "ACME.localhost:80", "www.acme.example"):
            answer = self.expect(200, "GET", "/api/products?limit=1", tenant=None, headers={"Host": host})
            self.assertEqual(answer.json["items"][0]["currency"], "USD", host)
        for header in ("tokyo", "01936b5c-7a00-7000-8000-00000000709c"):
            answer = self.expect(200, "GET", "/api/products?limit=1", headers={"X-Tenant-ID": header})
            self.assertEqual(answer.json["items"][0]["currency"], "JPY")
        self.expect(404, "GET", "/api/products", tenant="nobody")

    def test_a_bundle_in_dollars(self):
        for sku in ("TENT-R2-MOSS", "BAG-MEADOW-R"):
            product = self.expect(200, "GET", "/api/products/by-sku/" + sku).json
            self.expect(200, "POST", "/api/cart/items", json={"productId": product["id"]}, session=SESSION)
        self.expect(200, "PUT", "/api/cart/address", json={"country": "US", "state": "IL"}, session=SESSION)
        answer = self.expect(200, "PUT", "/api/cart/codes", json={"codes": ["WELCOME10"]}, session=SESSION)
        cart = answer.json
        self.assertEqual((cart["subtotal"], cart["discount"], cart["shipping"], cart["tax"], cart["total"]),
                         (378.95, 78.82, 0, 24.76, 324.89))
        self.assertIn('"shipping":0.00', answer.text)
        self.assertEqual({line["name"] for line in cart["taxLines"]}, {"Illinois sales tax", "City sales tax"})

    def test_three_for_two_in_yen(self):
        product = self.expect(200, "GET", "/api/products/by-sku/TABI-IND", tenant="tokyo").json
        cart = self.expect(200, "POST", "/api/cart/items", json={"productId": product["id"], "quantity": 3},
                           session=SESSION, tenant="tokyo").json
        self.assertEqual((cart["subtotal"], cart["discount"], cart["shipping"], cart["total"]), (2640, 880, 700, 2460))
        self.assertTrue(all(line["inclusive"] for line in cart["taxLines"]))

    def test_a_checkout_rule_shows_on_the_cart(self):
        session = SESSION + "-limited"
        product = self.expect(200, "GET", "/api/products/by-sku/HATCHET-10Y").json
        cart = self.expect(200, "POST", "/api/cart/items", json={"productId": product["id"], "quantity": 3},
                           session=session).json
        self.assertEqual([(v["code"], v["productId"]) for v in cart["violations"]], [("limited", product["id"])])

    def test_own_routes(self):
        sizes = self.expect(200, "GET", "/size-guide/Tarn").json
        self.assertEqual(sizes["brand"], "Tarn")
        self.assertIn("Medium", sizes["sizes"])
        self.assertEqual(self.expect(302, "GET", "/tents").headers.get("Location"), "/api/products?category=Tents")
        gifts = self.expect(200, "GET", "/gifts/2000", tenant="tokyo").json["gifts"]
        self.assertTrue(gifts and all(gift["price"] <= 2000 for gift in gifts))
        self.expect(404, "GET", "/size-guide/Tarn", tenant="tokyo")

    def test_settings_follow_tenant_json(self):
        path = os.path.join(self.server.tenants, "tokyo", "tenant.json")
        with open(path, encoding="utf-8") as source:
            text = source.read()
        low = self.expect(200, "GET", "/api/products/low-stock?limit=100", tenant="tokyo").json["items"]
        with open(path, "w", encoding="utf-8") as out:
            out.write(text.replace('"lowStockThreshold": 15', '"lowStockThreshold": 30'))
        self.assertEqual(self.server.run("reload", "--wait").returncode, 0)

        def more():
            items = self.expect(200, "GET", "/api/products/low-stock?limit=100", tenant="tokyo").json["items"]
            return len(items) > len(low)
        eventually(more, "the new threshold counts")

    def test_readiness(self):
        self.assertEqual(self.expect(200, "GET", "/healthz", tenant=None).json["status"], "alive")
        self.assertEqual(self.expect(200, "GET", "/readyz", tenant=None).json["status"], "ready")


if __name__ == "__main__":
    main()
