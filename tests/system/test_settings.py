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
            self.assertEqual(self.server.run("reload", "--wait").returncode, 0)
            if slug == "iota":
                eventually(lambda: call(self.server.port, "GET", "/api/products", tenant="iota").status == 200,
                           "the shop opens")
                shutil.rmtree(folder)
        eventually(lambda: '"tenant_refused"' in self.server.log(), "the refusal is logged")
        line = next(line for line in self.server.log().splitlines() if '"tenant_refused"' in line)
        for words in ('"slug":"kappa"', '"pointer":"/subdomain"', "is the tenant iota's already"):
            self.assertIn(words, line)
        self.assertNotIn("(error object is a table value)", self.server.log())


if __name__ == "__main__":
    main()
