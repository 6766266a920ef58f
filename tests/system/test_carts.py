#!/usr/bin/env python3
"""test_carts.py: a shopper's cart: lines, stock, prices that change, sessions, versions, and two tabs at once."""
import concurrent.futures
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.probe import write  # noqa: E402

ADDRESS = {"line1": "1 Main St", "city": "Chicago", "state": "IL", "postalCode": "60601", "country": "US"}


class CartCase(Case):
    number = 0

    @classmethod
    def new_session(cls):
        CartCase.number += 1
        return f"session-of-a-test-{CartCase.number:04}"

    def product(self, tenant="acme", **fields):
        CartCase.number += 1
        body = {"name": f"Thing {CartCase.number}", "sku": f"THING-{CartCase.number}", "price": "10.00", "stock": 10,
                "category": ["Things"]}
        body.update(fields)
        return self.expect(201, "POST", "/api/products", json=body, key="owner", tenant=tenant).json

    def cart(self, session, query="", **options):
        return self.expect(200, "GET", "/api/cart" + query, session=session, **options).json

    def add(self, session, product, quantity=1, status=200, **options):
        body = {"productId": product["id"], "quantity": quantity}
        return self.expect(status, "POST", "/api/cart/items", json=body, session=session, **options).json

    def proved(self, cart):
        """The totals add up exactly."""
        cents = {name: round(cart[name] * 100) for name in ("subtotal", "discount", "shipping", "tax", "total")}
        self.assertEqual(cents["subtotal"] - cents["discount"] + cents["shipping"] + cents["tax"], cents["total"], cart)
        self.assertEqual(sum(round(item["subtotal"] * 100) for item in cart["items"]), cents["subtotal"])
        return cart


class Carts(CartCase):
    def test_an_empty_cart(self):
        cart = self.cart(self.new_session())
        self.assertEqual((cart["items"], cart["codes"], cart["currency"], cart["total"]), ([], [], "USD", 0))
        self.assertEqual((cart["id"], cart["version"]), (None, 0))

    def test_a_line_from_first_to_last(self):
        session, product = self.new_session(), self.product(attributes={"color": "Black"})
        cart = self.proved(self.add(session, product, 2))
        line = cart["items"][0]
        self.assertEqual({name: line[name] for name in ("productId", "sku", "name")},
                         {"productId": product["id"], "sku": product["sku"], "name": product["name"]})
        self.assertEqual((line["price"], line["quantity"], line["subtotal"], line["attributes"]),
                         (10, 2, 20, {"color": "Black"}))
        self.assertEqual(self.add(session, product)["items"][0]["quantity"], 3)
        path = "/api/cart/items/" + product["id"]
        self.assertEqual(self.expect(200, "PATCH", path, json={"quantity": 5}, session=session).json["subtotal"], 50)
        self.assertEqual(self.expect(200, "DELETE", path, session=session).json["items"], [])
        self.expect(404, "DELETE", path, session=session)
        self.expect(404, "PATCH", path, json={"quantity": 1}, session=session)

    def test_lines_keep_their_order(self):
        session, things = self.new_session(), [self.product() for _ in range(6)]
        for thing in things:
            self.add(session, thing)
        self.add(session, things[0])
        self.assertEqual([item["sku"] for item in self.cart(session)["items"]], [thing["sku"] for thing in things])

    def test_id_and_version_are_kept(self):
        session, product = self.new_session(), self.product()
        first = self.add(session, product)
        second = self.add(session, product)
        self.assertTrue(first["id"])
        self.assertEqual(first["id"], second["id"])
        self.assertGreater(second["version"], first["version"])
        answer = self.expect(200, "GET", "/api/cart", session=session)
        self.assertEqual(answer.headers.get("ETag"), f'"{second["version"]}"')
        self.expect(412, "DELETE", "/api/cart", session=session, headers={"If-Match": f'"{first["version"]}"'})
        self.expect(412, "POST", "/api/cart/items", json={"productId": product["id"]}, session=session,
                    headers={"If-Match": f'"{first["version"]}"'})
        self.expect(204, "DELETE", "/api/cart", session=session, headers={"If-Match": answer.headers.get("ETag")})
        self.assertEqual(self.cart(session)["items"], [])
        self.expect(204, "DELETE", "/api/cart", session=session)

    def test_stock_is_checked(self):
        session, product = self.new_session(), self.product(stock=3)
        short = self.add(session, product, 4, status=409)
        self.assertEqual((short["code"], short["errors"][0]["available"]), ("insufficient_stock", 3))
        self.assertIn("3", short["detail"])
        self.add(session, product, 2)
        self.add(session, product, 2, status=409)
        self.expect(409, "PATCH", "/api/cart/items/" + product["id"], json={"quantity": 4}, session=session)
        self.assertEqual(self.cart(session)["items"][0]["quantity"], 2)
        self.expect(200, "POST", f"/api/products/{product['id']}/stock", json={"set": 1}, key="owner")
        cart = self.cart(session)
        self.assertEqual(cart["items"][0]["available"], 1)
        self.assertEqual(cart["violations"], [{"code": "not_enough_stock", "productId": product["id"],
                                               "message": f"only 1 of {product['name']} are available"}])
        backorder = self.product(stock=0, stockPolicy="continue")
        self.assertEqual(self.add(self.new_session(), backorder, 50)["items"][0]["quantity"], 50)

    def test_a_changed_price_is_shown_until_the_next_write(self):
        session, product = self.new_session(), self.product(price="10.00")
        self.add(session, product, 2)
        self.expect(200, "PATCH", "/api/products/" + product["id"], json={"price": "12.50"}, key="owner")
        for _ in range(2):
            cart = self.proved(self.cart(session))
            self.assertEqual(cart["items"][0]["priceChanged"], {"from": 10, "to": 12.5})
            self.assertEqual((cart["items"][0]["price"], cart["subtotal"]), (12.5, 25))
        self.assertNotIn("priceChanged", self.add(session, self.product())["items"][0])
        self.assertNotIn("priceChanged", self.cart(session)["items"][0])

    def test_a_product_that_goes_stays_visible_but_costs_nothing(self):
        session, gone, stays = self.new_session(), self.product(), self.product()
        self.add(session, gone)
        self.add(session, stays)
        self.expect(200, "PATCH", "/api/products/" + gone["id"], json={"status": "archived"}, key="owner")
        cart = self.cart(session)
        self.assertEqual([item.get("unavailable", False) for item in cart["items"]], [True, False])
        self.assertEqual(cart["subtotal"], 10)
        self.assertEqual([(violation["code"], violation["productId"]) for violation in cart["violations"]],
                         [("unavailable", gone["id"])])
        self.expect(204, "DELETE", "/api/products/" + gone["id"], key="owner")
        self.assertEqual(self.cart(session)["items"][0]["sku"], gone["sku"])

    def test_what_is_not_on_sale_is_refused(self):
        session = self.new_session()
        self.add(session, {"id": "nothing"}, status=422)
        self.add(session, self.product(status="draft"), status=422)
        self.add(session, self.product(tenant="tokyo", price=500), status=422)
        for body in ({}, {"productId": 7}, {"productId": "x", "quantity": 0}, {"productId": "x", "quantity": 1.5},
                     {"productId": "x", "price": 0}):
            self.expect(422, "POST", "/api/cart/items", json=body, session=session)
        self.assertEqual(self.cart(session)["items"], [])

    def test_address_shipping_and_codes(self):
        session = self.new_session()
        self.add(session, self.product(price="20.00", weightGrams=500))
        cart = self.proved(self.expect(200, "PUT", "/api/cart/address", json=ADDRESS, session=session).json)
        self.assertEqual(cart["address"], ADDRESS)
        self.assertEqual([option["id"] for option in cart["shippingOptions"]], ["std", "express"])
        self.assertEqual((cart["shippingOption"], cart["shipping"]), ("std", 4.99))
        self.assertEqual({line["name"]: line["amount"] for line in cart["taxLines"]},
                         {"Illinois sales tax": 1.25, "City sales tax": 0.4})
        cart = self.proved(self.expect(200, "PUT", "/api/cart/shipping", json={"option": "express"},
                                       session=session).json)
        self.assertEqual((cart["shippingOption"], cart["shipping"]), ("express", 16.99))
        wrong = self.expect(422, "PUT", "/api/cart/shipping", json={"option": "pigeon"}, session=session)
        self.assertEqual(wrong.json["errors"][0]["pointer"], "/option")
        cart = self.proved(self.expect(200, "PUT", "/api/cart/codes", json={"codes": ["WELCOME10", "welcome10"]},
                                       session=session).json)
        self.assertEqual((cart["codes"], cart["discount"]), (["WELCOME10"], 2))
        self.assertEqual(cart["discounts"][0]["code"], "WELCOME10")
        self.assertEqual(self.proved(self.cart(session))["total"], cart["total"])
        self.expect(422, "PUT", "/api/cart/address", json={"country": "usa"}, session=session)
        self.expect(422, "PUT", "/api/cart/codes", json={"codes": "X"}, session=session)

    def test_explain_says_which_rule_changed_what(self):
        session, product = self.new_session(), self.product(stock=100)
        self.add(session, product, 10)
        cart = self.cart(session, "?explain=1")
        tier = next(entry for entry in cart["explain"] if entry["rule"] == "pricing")
        self.assertEqual((tier["amount"], tier["reason"], tier["productId"]), (-10, "10 or more", product["id"]))
        self.assertIn("tax", {entry["rule"] for entry in cart["explain"]})
        self.assertRegex(cart["ruleEdition"], "^[0-9a-f]{64}$")
        self.assertNotIn("explain", self.cart(session))

    def test_two_shops_price_by_their_own_rules(self):
        session = self.new_session()
        socks = self.product(tenant="tokyo", price=880, category=["Socks"])
        cart = self.add(session, socks, 3, tenant="tokyo")
        self.assertEqual((cart["currency"], cart["subtotal"], cart["discount"]), ("JPY", 2640, 880))
        self.assertTrue(cart["taxLines"][0]["inclusive"])
        self.assertEqual(self.cart(session)["items"], [])

    def test_a_session_begins_with_a_cookie(self):
        product = self.product()
        answer = self.call("POST", "/api/cart/items", json={"productId": product["id"]})
        cookie = re.match(r"perigee_session=([A-Za-z0-9_-]{16,128}); ", answer.cookies[0])
        self.assertIn("HttpOnly", answer.cookies[0])
        again = self.expect(200, "GET", "/api/cart", headers={"Cookie": "a=b; perigee_session=" + cookie.group(1)})
        self.assertEqual(len(again.json["items"]), 1)
        self.assertEqual(again.cookies, [])
        for bad in ("short", "x" * 129, "spaces are not url safe"):
            self.expect(400, "GET", "/api/cart", session=bad)

    def test_tabs_that_add_at_once_lose_nothing(self):
        session, things = self.new_session(), [self.product(stock=1000) for _ in range(4)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: self.call("POST", "/api/cart/items", session=session,
                                                        json={"productId": things[n % 4]["id"]}).status, range(24)))
        self.assertEqual(set(answers), {200})
        cart = self.proved(self.cart(session))
        self.assertEqual(sorted(item["quantity"] for item in cart["items"]), [6, 6, 6, 6])
        self.assertEqual(len({item["productId"] for item in cart["items"]}), 4)

    def test_unknown_parameters_are_named(self):
        wrong = self.expect(400, "GET", "/api/cart?verbose=1", session=self.new_session())
        self.assertIn("verbose", wrong.json["detail"])


class Unpriced(CartCase):
    """A shop whose shipping rule passes its samples and fails on one product; there is no edition before it."""

    @classmethod
    def make_server(cls):
        server = super().make_server()
        path = os.path.join(server.tenants, "acme", "shipping.lua")
        with open(path, encoding="utf-8") as source:
            rule = source.read()
        head, body = rule.split("return function(cart, ctx)\n")
        trap = '  for _, line in ipairs(cart.items) do if line.sku == "BROKEN" then error("no rate") end end\n'
        write(path, head + "return function(cart, ctx)\n" + trap + body)
        return server

    def test_shipping_cannot_be_chosen_for_a_cart_without_a_price(self):
        session, broken = self.new_session(), self.product(sku="BROKEN")
        cart = self.add(session, broken)
        self.assertEqual(cart["priced"], False)
        self.assertNotIn("total", cart)
        refused = self.expect(503, "PUT", "/api/cart/shipping", json={"option": "std"}, session=session)
        self.assertRegex(refused.headers.get("Retry-After", ""), r"^\d+$")
        after = self.cart(session)
        self.assertEqual((after["version"], after.get("shippingOption")), (cart["version"], None))
        self.expect(200, "DELETE", "/api/cart/items/" + broken["id"], session=session)
        self.add(session, self.product())
        self.expect(200, "PUT", "/api/cart/shipping", json={"option": "std"}, session=session)


if __name__ == "__main__":
    main()
