#!/usr/bin/env python3
"""test_search.py: text search, filters, facets, suggestions, and an index that follows every change."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.server import eventually  # noqa: E402

CATALOGUE = [
    ("MOUSE-1", "Wireless Mouse", "A quiet pointing device", "29.99", ["Electronics"],
     {"color": "Black", "brand": "Tech"}),
    ("MOUSE-2", "Gaming Mouse", "Wireless and fast", "79.00", ["Electronics", "Games"],
     {"color": "Red", "brand": "Play"}),
    ("KEYS-1", "Keyboard", "Goes with a wireless mouse", "49.00", ["Electronics"], {"color": "Black", "brand": "Tech"}),
    ("PAD-1", "Mouse Pad", "Soft", "9.50", ["Accessories"], {"color": "Red", "brand": "Play"}),
    ("CAFE-1", "Café Crème Cup", "Porcelain", "15.00", ["Kitchen"], {"color": "White"}),
    ("DRAFT-1", "Secret Mouse", "Not yet", "99.00", ["Electronics"], {"color": "Black"}),
]


def products():
    return [{"sku": sku, "name": name, "description": text, "price": price, "category": category,
             "attributes": attributes, "stock": 5, "status": "draft" if sku.startswith("DRAFT") else "active"}
            for sku, name, text, price, category, attributes in CATALOGUE]


class Search(Case):
    @classmethod
    def prepare(cls):
        answer = cls.call("POST", "/api/products/bulk", json={"items": products()}, key="owner")
        assert {entry["status"] for entry in answer.json["items"]} == {201}, answer

    def search(self, query):
        return self.expect(200, "GET", "/api/products/search?" + query).json

    def skus(self, query):
        return [item["sku"] for item in self.search(query)["items"]]

    def test_a_name_counts_more_than_a_description(self):
        found = self.search("q=mouse")
        self.assertEqual({item["sku"] for item in found["items"]}, {"MOUSE-1", "MOUSE-2", "KEYS-1", "PAD-1"})
        self.assertEqual(found["items"][-1]["sku"], "KEYS-1")
        self.assertEqual(found["total"], 4)
        scores = [item["score"] for item in found["items"]]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_items_are_whole_products(self):
        item = self.search("q=MOUSE-1")["items"][0]
        self.assertEqual((item["sku"], item["price"], item["stock"], item["version"]), ("MOUSE-1", 29.99, 5, 1))

    def test_accents_and_word_forms(self):
        self.assertEqual(self.skus("q=cafe"), ["CAFE-1"])
        self.assertEqual(self.skus("q=CAF%C3%89"), ["CAFE-1"])
        self.assertEqual(self.skus("q=keyboards"), ["KEYS-1"])

    def test_typos(self):
        self.assertIn("KEYS-1", self.skus("q=keybaord"))
        self.assertIn("PAD-1", self.skus("q=mose"))

    def test_syntax_of_the_engine_is_only_text(self):
        for text in ("%22", "mouse%20OR", "a*", "NEAR(", "name:mouse", "%27;--", "-", "(", "%5E"):
            self.expect(200, "GET", "/api/products/search?q=" + text)

    def test_filters(self):
        self.assertEqual(set(self.skus("category=Electronics")), {"MOUSE-1", "MOUSE-2", "KEYS-1"})
        self.assertEqual(set(self.skus("category=Games&category=Kitchen")), {"MOUSE-2", "CAFE-1"})
        self.assertEqual(set(self.skus("q=mouse&maxPrice=29.99")), {"MOUSE-1", "PAD-1"})
        self.assertEqual(set(self.skus("minPrice=49")), {"MOUSE-2", "KEYS-1"})
        self.assertEqual(set(self.skus("attr.color=Black")), {"MOUSE-1", "KEYS-1"})
        self.assertEqual(set(self.skus("attr.color=Black&attr.color=White")), {"MOUSE-1", "KEYS-1", "CAFE-1"})
        self.assertEqual(self.skus("attr.color=Red&attr.brand=Play&category=Games"), ["MOUSE-2"])
        self.assertEqual(self.skus("attr.size=XL"), [])

    def test_drafts_are_not_found(self):
        self.assertNotIn("DRAFT-1", self.skus("q=secret"))
        self.assertEqual(self.search("")["total"], 5)

    def test_order(self):
        self.assertEqual(self.skus("sort=price"), ["PAD-1", "CAFE-1", "MOUSE-1", "KEYS-1", "MOUSE-2"])
        self.assertEqual(self.skus("sort=-price&size=2"), ["MOUSE-2", "KEYS-1"])
        self.assertEqual(self.skus("sort=name")[0], "CAFE-1")

    def test_facets(self):
        facets = self.search("q=mouse&facets=1")["facets"]
        self.assertEqual({f["value"]: f["count"] for f in facets["categories"]},
                         {"Electronics": 3, "Games": 1, "Accessories": 1})
        colors = {f["value"]: f["count"] for f in facets["attributes"]["color"]}
        self.assertEqual(colors, {"Black": 2, "Red": 2})
        ranges = facets["priceRanges"]
        self.assertEqual(sum(entry["count"] for entry in ranges), 4)
        self.assertNotIn("from", ranges[0])
        self.assertNotIn("to", ranges[-1])
        self.assertEqual([entry.get("to") for entry in ranges][:2], [25, 50])
        self.assertEqual([entry["count"] for entry in ranges][:3], [1, 2, 1])
        self.assertNotIn("facets", self.search("q=mouse"))

    def test_pages(self):
        path, seen = "/api/products/search?size=2&sort=price", []
        while path:
            answer = self.expect(200, "GET", path)
            self.assertEqual(answer.json["total"], 5)
            seen += [item["sku"] for item in answer.json["items"]]
            link = answer.headers.get("Link")
            path = link and link[1:link.index(">")]
        self.assertEqual(seen, ["PAD-1", "CAFE-1", "MOUSE-1", "KEYS-1", "MOUSE-2"])
        self.assertEqual(self.skus("sort=price&page=2&size=2"), ["MOUSE-1", "KEYS-1"])
        self.expect(400, "GET", "/api/products/search?page=1000&size=1000")

    def test_what_is_refused_is_named(self):
        for query in ("colour=Red", "size=1001", "facets=maybe", "minPrice=x", "attr=1"):
            answer = self.expect(400, "GET", "/api/products/search?" + query)
            self.assertIn(query.split("=")[0], answer.json["detail"])

    def test_suggestions(self):
        def suggest(text):
            return self.expect(200, "GET", "/api/products/suggest?q=" + text).json["items"]
        self.assertEqual(set(suggest("mou")), {"Wireless Mouse", "Gaming Mouse", "Mouse Pad"})
        self.assertIn("Keyboard", suggest("key"))
        self.assertEqual(suggest("zzz"), [])
        self.assertNotIn("Secret Mouse", suggest("sec"))
        self.expect(400, "GET", "/api/products/suggest")

    def test_the_other_shop_finds_nothing(self):
        self.assertEqual(self.expect(200, "GET", "/api/products/search?q=mouse", tenant="tokyo").json["total"], 0)


class Index(Case):
    def test_follows_every_change(self):
        def skus(query):
            items = self.expect(200, "GET", "/api/products/search?" + query).json["items"]
            return [item["sku"] for item in items]
        self.assertEqual(skus("q=lamp"), [])
        body = {"name": "Desk Lamp", "sku": "LAMP-1", "price": 10, "stock": 3, "category": ["Light"]}
        path = "/api/products/" + self.expect(201, "POST", "/api/products", json=body, key="owner").json["id"]
        self.assertEqual(skus("q=lamp"), ["LAMP-1"])
        self.expect(200, "PATCH", path, json={"name": "Desk Torch", "price": 20}, key="owner")
        self.assertEqual((skus("q=torch"), skus("maxPrice=15")), (["LAMP-1"], []))
        self.expect(200, "POST", path + "/stock", json={"set": 77}, key="owner")
        self.assertEqual(self.call("GET", "/api/products/search?q=torch").json["items"][0]["stock"], 77)
        self.expect(200, "PATCH", path, json={"status": "archived"}, key="owner")
        self.assertEqual(skus("q=torch"), [])
        self.expect(200, "PATCH", path, json={"status": "active"}, key="owner")
        self.assertEqual(skus("q=torch"), ["LAMP-1"])
        self.expect(204, "DELETE", path, key="owner")
        self.assertEqual(skus("q=torch"), [])

    def test_the_sweep_finds_what_a_crash_left_behind(self):
        path = os.path.join(self.server.folder, "crash.lua")
        with open(path, "w", encoding="utf-8") as out:
            out.write("""
                local products, stores, tenants = require "shop.products", require "stores", require "shop.tenants"
                local schema = require "schema.product"
                local acme = tenants.find("slug", "acme")
                local clean = schema:expect({ name = "Lost Lantern", sku = "LOST-1", price = 5, stock = 1 },
                  products.context(acme), { creating = true })
                assert(stores.documents.insert(acme.id, "products", products.complete(clean)))
            """)
        done = self.server.run("script", path)
        self.assertEqual(done.returncode, 0, done.stderr)

        def found():
            return self.call("GET", "/api/products/search?q=lantern&maxPrice=5").json["total"] == 1
        eventually(found, "the sweep indexes the product")


if __name__ == "__main__":
    main()
