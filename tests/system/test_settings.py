#!/usr/bin/env python3
"""test_settings.py: a changed tenant.json reaches every worker of every server that shares the data folder."""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, call, main  # noqa: E402
from lib.server import Server, eventually  # noqa: E402

WORKERS = 2
# Fresh connections, so that every worker of a server gets some of them.
ROUNDS = 16
SESSION = "a-shopper-of-the-shop-zeta"


def write_tenant(server, rate):
    folder = os.path.join(server.tenants, "zeta")
    os.makedirs(folder, exist_ok=True)
    document = {"slug": "zeta", "name": "Zeta", "settings": {"currency": "USD", "taxRate": rate}}
    path = os.path.join(folder, "tenant.json")
    with open(path + ".tmp", "w", encoding="utf-8") as out:
        json.dump(document, out)
    os.rename(path + ".tmp", path)


class Settings(Case):
    settings = {"workers": WORKERS}
    second = None

    @classmethod
    def make_server(cls):
        server = Server(**cls.settings)
        write_tenant(server, "0.10")
        return server

    @classmethod
    def prepare(cls):
        """The second server has folders of its own, in which nothing changes: it learns from the store alone."""
        second = Server(data=cls.server.data, **cls.settings)
        write_tenant(second, "0.10")
        try:
            cls.second = second.start()
        except BaseException:
            second.kill()
            second.remove()
            raise

    @classmethod
    def tearDownClass(cls):
        second, cls.second = cls.second, None
        try:
            code = second.stop()
            if code != 0:
                raise AssertionError(f"the second server ended with {code}:\n{second.log()[-6000:]}")
        finally:
            second.remove()
            super().tearDownClass()

    def taxes(self, server):
        """What the cart's tax is on each of many connections."""
        seen = set()
        for _ in range(ROUNDS):
            answer = call(server.port, "GET", "/api/cart", tenant="zeta", session=SESSION)
            self.assertEqual(answer.status, 200, answer)
            seen.add(answer.json["tax"])
        return seen

    def test_a_new_rate_prices_every_cart(self):
        product = self.expect(201, "POST", "/api/products", tenant="zeta", key="owner",
                              json={"name": "Thing", "sku": "THING", "price": "10.00", "stock": 10}).json
        self.expect(200, "POST", "/api/cart/items", tenant="zeta", session=SESSION,
                    json={"productId": product["id"], "quantity": 1})
        for server in (self.server, self.second):
            self.assertEqual(self.taxes(server), {1})
        for rate, tax in (("0.20", 2), ("0.075", 0.75)):
            write_tenant(self.server, rate)
            done = self.server.run("reload", "--wait")
            self.assertEqual(done.returncode, 0, done.stderr)
            for server in (self.server, self.second):
                eventually(lambda server=server, tax=tax: self.taxes(server) == {tax}, f"a tax of {tax} everywhere")

    def test_a_new_shop_opens_everywhere(self):
        for server in (self.server, self.second):
            self.assertEqual(call(server.port, "GET", "/api/products", tenant="eta").status, 404)
        folder = os.path.join(self.server.tenants, "eta")
        os.makedirs(folder)
        with open(os.path.join(folder, "tenant.json"), "w", encoding="utf-8") as out:
            json.dump({"slug": "eta", "name": "Eta", "settings": {"currency": "EUR"}}, out)
        self.assertEqual(self.server.run("reload", "--wait").returncode, 0)
        for server in (self.server, self.second):
            eventually(lambda server=server: call(server.port, "GET", "/api/products", tenant="eta").status == 200,
                       "the new shop answers")

    def test_a_host_that_a_stored_shop_has_is_refused_by_name(self):
        """The folder of a shop is renamed: its stored document keeps the host, which no check of files can see."""
        for slug in ("iota", "kappa"):
            folder = os.path.join(self.server.tenants, slug)
            os.makedirs(folder)
            with open(os.path.join(folder, "tenant.json"), "w", encoding="utf-8") as out:
                json.dump({"slug": slug, "subdomain": "iota", "name": "Iota", "settings": {"currency": "EUR"}}, out)
            done = self.server.run("reload", "--wait")
            self.assertEqual(done.returncode, 0 if slug == "iota" else 1, done.stderr)
            if slug == "iota":
                eventually(lambda: call(self.server.port, "GET", "/api/products", tenant="iota").status == 200,
                           "the shop opens")
                shutil.rmtree(folder)
        eventually(lambda: '"tenant_refused"' in self.server.log(), "the refusal is logged")
        line = next(line for line in self.server.log().splitlines() if '"tenant_refused"' in line)
        for words in ('"slug":"kappa"', '"pointer":"/subdomain"', "is the tenant iota's already"):
            self.assertIn(words, line)
        self.assertNotIn("(error object is a table value)", self.server.log())
        self.addCleanup(self.forget_shop, "kappa")
        # It stands refused until the host is its own, in words that name it.
        again = self.server.run("reload", "--wait")
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        for words in ("tenants/kappa/tenant.json is refused", '/subdomain: "iota" is the tenant iota\'s already'):
            self.assertIn(words, again.stderr)

    def forget_shop(self, slug):
        """What is refused of a folder that is gone is refused no longer."""
        shutil.rmtree(os.path.join(self.server.tenants, slug))
        done = self.server.run("reload", "--wait")
        self.assertEqual(done.returncode, 0, done.stderr)

    def write_shop(self, slug, settings, code=0):
        folder = os.path.join(self.server.tenants, slug)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "tenant.json"), "w", encoding="utf-8") as out:
            json.dump({"slug": slug, "name": slug, "settings": settings}, out)
        done = self.server.run("reload", "--wait")
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def open_with_a_mug(self, slug, sku):
        """A shop in dollars, its product, and a cart with it."""
        self.write_shop(slug, {"currency": "USD"})
        eventually(lambda: call(self.server.port, "GET", "/api/products", tenant=slug).status == 200, "the shop opens")
        product = self.expect(201, "POST", "/api/products", tenant=slug, key="owner",
                              json={"name": "Mug", "sku": sku, "price": "9.99", "stock": 10}).json
        self.expect(200, "POST", "/api/cart/items", tenant=slug, session=SESSION,
                    json={"productId": product["id"], "quantity": 2})
        return product

    def cart(self, slug):
        return self.expect(200, "GET", "/api/cart", tenant=slug, session=SESSION).json

    def await_yen(self, slug):
        """In every worker."""
        eventually(lambda: {self.cart(slug)["currency"] for _ in range(ROUNDS)} == {"JPY"}, "the currency is another")

    def refusals(self, slug):
        return [line for line in self.server.log().splitlines()
                if '"tenant_refused"' in line and f'"slug":"{slug}"' in line]

    def test_a_shop_with_prices_keeps_its_currency(self):
        product = self.open_with_a_mug("lambda", "MUG-LAMBDA")
        done = self.write_shop("lambda", {"currency": "JPY"}, code=1)
        for words in ("tenants/lambda/tenant.json is refused", "/settings/currency: cannot become JPY"):
            self.assertIn(words, done.stderr)
        line = eventually(lambda: self.refusals("lambda"), "the refusal is logged")[0]
        for words in ('"pointer":"/settings/currency"', "JPY", "USD", "MUG-LAMBDA costs 9.99"):
            self.assertIn(words, line)
        cart = self.cart("lambda")
        self.assertEqual((cart["currency"], cart["priced"], cart["subtotal"]), ("USD", True, 19.98))
        # It stands refused, and is looked at again each time, though the file is the same one.
        count = len(self.refusals("lambda"))
        again = self.server.run("reload", "--wait")
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("/settings/currency: cannot become JPY", again.stderr)
        eventually(lambda: len(self.refusals("lambda")) > count, "the log says so again")
        # Without prices it may change; what is in carts is from before.
        self.expect(204, "DELETE", "/api/products/" + product["id"], tenant="lambda", key="owner")
        done = self.server.run("reload", "--wait")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.await_yen("lambda")
        cart = self.cart("lambda")
        self.assertEqual((cart["priced"], cart["total"]), (True, 0))
        item, = cart["items"]
        self.assertEqual((item["price"], item["subtotal"], item["unavailable"]), (None, None, True))

    def test_a_price_that_is_none_in_the_currency_leaves_the_cart_without_one(self):
        """As when the documents were changed by hand."""
        product = self.open_with_a_mug("mu", "MUG-MU")
        path = os.path.join(self.server.folder, "yen.lua")
        with open(path, "w", encoding="utf-8") as out:
            out.write('local stores, tenants = require "stores", require "shop.tenants"\n'
                      'local mu = tenants.find("slug", "mu")\n'
                      'local change = { set = { ["settings.currency"] = "JPY" } }\n'
                      'assert(stores.documents.update("*", "tenants", mu.id, change))\n'
                      'require("lib.read_through").changed(mu.id, "config")\nreturn 0\n')
        done = self.server.run("script", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.await_yen("mu")
        cart = self.cart("mu")
        self.assertFalse(cart["priced"])
        for words in ("MUG-MU", "9.99", "settings.currency", "JPY"):
            self.assertIn(words, cart["reason"])
        self.assertNotIn("total", cart)
        self.assertEqual([(item["productId"], item["price"]) for item in cart["items"]], [(product["id"], None)])
        cart = self.expect(200, "DELETE", "/api/cart/items/" + product["id"], tenant="mu", session=SESSION).json
        self.assertEqual((cart["priced"], cart["items"]), (True, []))


if __name__ == "__main__":
    main()
