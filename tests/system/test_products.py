#!/usr/bin/env python3
"""test_products.py: products over HTTP: create, read, list, change, remove, stock, bulk, and what is refused."""
import concurrent.futures
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402


def mouse(sku, **fields):
    product = {"name": "Wireless Mouse", "sku": sku, "description": "Ergonomic.", "price": 29.99,
               "category": ["Electronics", "Accessories"], "attributes": {"color": "Black"}, "stock": 150,
               "images": [{"url": "https://cdn.example/mouse.jpg", "alt": "front", "order": 0}]}
    product.update(fields)
    return product


class Products(Case):
    def make(self, sku, tenant="acme", **fields):
        return self.expect(201, "POST", "/api/products", json=mouse(sku, **fields), key="owner", tenant=tenant)

    def test_create_answers_the_product(self):
        made = self.make("CREATE-1")
        product = made.json
        self.assertEqual(made.headers.get("Location"), "/api/products/" + product["id"])
        self.assertEqual(made.headers.get("ETag"), '"1"')
        self.assertRegex(product["id"], "^[0-9a-f]{8}-[0-9a-f]{4}-7")
        self.assertEqual(product["version"], 1)
        self.assertEqual((product["stock"], product["status"], product["stockPolicy"]), (150, "active", "deny"))
        self.assertEqual((product["currency"], product["weightGrams"]), ("USD", 0))
        self.assertRegex(product["createdAt"], r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")
        self.assertIn('"price":29.99', made.text.replace(" ", ""))
        for inside in ("rev", "pending", "tenantId", "_id"):
            self.assertNotIn(inside, product)
        again = self.expect(200, "GET", made.headers.get("Location"))
        self.assertEqual(again.json, product)

    def test_money_is_exact(self):
        for sku, given, shown in (("MONEY-1", "0.1", "0.10"), ("MONEY-2", '"29.9"', "29.90"),
                                  ("MONEY-3", "30", "30.00"), ("MONEY-4", "9999999.07", "9999999.07"),
                                  ("MONEY-5", "1.100", "1.10")):
            body = '{"name":"M","sku":"%s","price":%s}' % (sku, given)
            made = self.expect(201, "POST", "/api/products", json=body, key="owner")
            self.assertIn(f'"price":{shown}', made.text)
        made = self.make("MONEY-6", tenant="tokyo", price=3000)
        self.assertIn('"price":3000', made.text)
        self.assertNotIn('"price":3000.', made.text)
        for tenant, price in (("acme", "1.005"), ("tokyo", "10.5")):
            body = '{"name":"M","sku":"MONEY-7","price":%s}' % price
            wrong = self.expect(422, "POST", "/api/products", json=body, key="owner", tenant=tenant)
            self.assertEqual([(e["pointer"], e["code"]) for e in wrong.json["errors"]], [("/price", "precision")])

    def test_all_violations_come_at_once(self):
        body = {"sku": "", "price": "cheap", "stock": 1.5, "status": "sold", "category": "Toys", "colour": "red",
                "images": [{"url": "ftp://x"}, {"alt": "no url"}], "attributes": {"size": {"a": 1}}, "id": "mine",
                "version": 7, "rev": 3}
        wrong = self.expect(422, "POST", "/api/products", json=body, key="owner")
        self.assertEqual(wrong.headers.get("Content-Type"), "application/problem+json")
        found = {error["pointer"]: error["code"] for error in wrong.json["errors"]}
        self.assertEqual(found, {
            "/name": "required", "/sku": "too_short", "/price": "type", "/stock": "type", "/status": "not_allowed",
            "/category": "type", "/colour": "unknown_field", "/images/0/url": "pattern", "/images/1/url": "required",
            "/attributes/size": "type", "/id": "read_only", "/version": "read_only", "/rev": "unknown_field"})
        self.assertEqual(wrong.json["status"], 422)
        self.assertTrue(wrong.json["requestId"])

    def test_bodies_that_are_not_products(self):
        self.assertEqual(self.expect(400, "POST", "/api/products", json="{", key="owner").json["code"], "bad_json")
        self.expect(422, "POST", "/api/products", json="[]", key="owner")
        self.expect(422, "POST", "/api/products", json="7", key="owner")
        self.expect(415, "POST", "/api/products", body="a=b", key="owner",
                    headers={"Content-Type": "application/x-www-form-urlencoded"})

    def test_keys(self):
        for path, method in (("/api/products", "POST"), ("/api/products/bulk", "POST"), ("/api/products/x", "PUT"),
                             ("/api/products/x", "PATCH"), ("/api/products/x", "DELETE"),
                             ("/api/products/x/stock", "POST")):
            answer = self.expect(401, method, path, json={})
            self.assertEqual((answer.json["code"], answer.headers.get("WWW-Authenticate")), ("unauthorized", "Bearer"))
            self.expect(403, method, path, json={}, key="demo-owner-tokyo")
            self.expect(401, method, path, json={}, key="guessed")

    def test_a_sku_is_unique_within_its_tenant(self):
        self.make("UNIQUE-1")
        taken = self.expect(409, "POST", "/api/products", json=mouse("UNIQUE-1"), key="owner")
        self.assertEqual(taken.json["errors"][0]["pointer"], "/sku")
        self.make("UNIQUE-1", tenant="tokyo", price=100)
        other = self.make("UNIQUE-2").json
        self.expect(409, "PATCH", "/api/products/" + other["id"], json={"sku": "UNIQUE-1"}, key="owner")

    def test_tenants_do_not_see_each_other(self):
        path = "/api/products/" + self.make("MINE-1").json["id"]
        self.expect(404, "GET", path, tenant="tokyo")
        self.expect(404, "GET", "/api/products/by-sku/MINE-1", tenant="tokyo")
        self.expect(404, "DELETE", path, tenant="tokyo", key="owner")
        self.expect(200, "GET", path)

    def test_by_sku(self):
        made = self.make("SKU-é 1/2").json
        found = self.expect(200, "GET", "/api/products/by-sku/SKU-%C3%A9%201%2F2")
        self.assertEqual(found.json["id"], made["id"])
        self.assertEqual(self.expect(404, "GET", "/api/products/by-sku/none").json["code"], "not_found")

    def test_if_none_match(self):
        path = "/api/products/" + self.make("ETAG-1").json["id"]
        for tag in ('"1"', 'W/"1"', '"0", "1"', "*"):
            answer = self.expect(304, "GET", path, headers={"If-None-Match": tag})
            self.assertEqual((answer.body, answer.headers.get("ETag")), (b"", '"1"'))
        self.expect(200, "GET", path, headers={"If-None-Match": '"2"'})

    def test_put_replaces_and_keeps_stock(self):
        made = self.make("PUT-1").json
        path = "/api/products/" + made["id"]
        edited = dict(made, name="Mouse 2", price=31.5, description="")
        answer = self.expect(200, "PUT", path, json=edited, key="owner")
        self.assertEqual((answer.json["name"], answer.json["version"], answer.headers.get("ETag")),
                         ("Mouse 2", 2, '"2"'))
        bare = self.expect(200, "PUT", path, json={"name": "Bare", "sku": "PUT-1", "price": 1}, key="owner").json
        self.assertEqual((bare["stock"], bare["category"], bare["attributes"], bare["images"]), (150, [], {}, []))
        self.assertEqual(bare["createdAt"], made["createdAt"])
        wrong = self.expect(422, "PUT", path, json=dict(bare, stock=1), key="owner")
        self.assertEqual(wrong.json["errors"][0]["pointer"], "/stock")
        self.expect(404, "PUT", "/api/products/none", json=edited, key="owner")

    def test_patch_merges(self):
        path = "/api/products/" + self.make("PATCH-1", attributes={"color": "Black", "brand": "T"}).json["id"]
        changed = self.expect(200, "PATCH", path, key="owner", json={
            "attributes": {"color": None, "size": "M"}, "description": None, "category": ["One"]}).json
        self.assertEqual(changed["attributes"], {"brand": "T", "size": "M"})
        self.assertEqual((changed["description"], changed["category"], changed["name"], changed["version"]),
                         ("", ["One"], "Wireless Mouse", 2))
        typed = self.expect(200, "PATCH", path, key="owner", body=b'{"name":"N"}',
                            headers={"Content-Type": "application/merge-patch+json"})
        self.assertEqual(typed.json["name"], "N")
        self.expect(422, "PATCH", path, json={"name": None}, key="owner")
        self.expect(422, "PATCH", path, json={"id": "other"}, key="owner")

    def test_if_match(self):
        path = "/api/products/" + self.make("MATCH-1").json["id"]
        stale = {"If-Match": '"7"'}
        refused = self.expect(412, "PATCH", path, json={"name": "A"}, key="owner", headers=stale)
        self.assertEqual(refused.headers.get("ETag"), '"1"')
        self.expect(412, "PUT", path, json=mouse("MATCH-1"), key="owner", headers=stale)
        self.expect(412, "POST", path + "/stock", json={"set": 1}, key="owner", headers=stale)
        self.expect(412, "DELETE", path, key="owner", headers=stale)
        self.expect(412, "DELETE", path, key="owner", headers={"If-Match": 'W/"1"'})
        for wrong in ("1", '"1", 2', "'1'", '"1', "w/1"):
            refused = self.expect(400, "PATCH", path, json={"name": "A"}, key="owner", headers={"If-Match": wrong})
            self.assertIn("quoted", refused.json["detail"])
        self.expect(200, "PATCH", path, json={"name": "A"}, key="owner", headers={"If-Match": '"7" , "1"'})
        self.expect(204, "DELETE", path, key="owner", headers={"If-Match": '"2"'})
        self.expect(404, "GET", path)
        self.expect(404, "DELETE", path, key="owner")

    def test_of_many_conditional_changes_one_wins(self):
        path = "/api/products/" + self.make("RACE-1").json["id"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: self.call("PATCH", path, json={"name": f"N{n}"}, key="owner",
                                                        headers={"If-Match": '"1"'}).status, range(8)))
        self.assertEqual(sorted(answers), [200] + [412] * 7)

    def test_stock(self):
        path = "/api/products/" + self.make("STOCK-1", stock=5).json["id"]
        stock = path + "/stock"
        self.assertEqual(self.expect(200, "POST", stock, json={"adjust": -3}, key="owner").json["stock"], 2)
        short = self.expect(409, "POST", stock, json={"adjust": -3}, key="owner").json
        self.assertEqual((short["code"], short["errors"][0]["available"]), ("insufficient_stock", 2))
        self.assertEqual(self.expect(200, "POST", stock, json={"set": 9}, key="owner").json["stock"], 9)
        self.expect(409, "POST", stock, json={"set": -1}, key="owner")
        for body in ({}, {"set": 1, "adjust": 1}, {"set": "1"}, {"adjust": 0.5}, {"sold": 1}):
            self.expect(422, "POST", stock, json=body, key="owner")
        self.expect(200, "PATCH", path, json={"stockPolicy": "continue"}, key="owner")
        self.assertEqual(self.expect(200, "POST", stock, json={"adjust": -20}, key="owner").json["stock"], -11)

    def test_stock_changes_at_once_lose_nothing(self):
        path = "/api/products/" + self.make("STOCK-2", stock=20).json["id"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(
                lambda _: self.call("POST", path + "/stock", json={"adjust": -1}, key="owner").status, range(30)))
        self.assertEqual((answers.count(200), answers.count(409)), (20, 10))
        self.assertEqual(self.expect(200, "GET", path).json["stock"], 0)

    def test_bulk(self):
        self.make("BULK-TAKEN")
        items = [mouse("BULK-1"), mouse("BULK-TAKEN"), {"name": "No SKU", "price": 1}, mouse("BULK-2"),
                 mouse("BULK-1"), 7]
        answer = self.expect(200, "POST", "/api/products/bulk", json={"items": items}, key="owner").json["items"]
        self.assertEqual([entry["index"] for entry in answer], list(range(6)))
        self.assertEqual([entry["status"] for entry in answer], [201, 409, 422, 201, 409, 422])
        self.assertEqual(answer[2]["error"]["errors"][0]["pointer"], "/sku")
        found = self.expect(200, "GET", "/api/products/" + answer[3]["id"]).json
        self.assertEqual(found["sku"], "BULK-2")
        for body in ({}, {"items": []}, {"items": 7}, {"items": [mouse("X")] * 1001}):
            self.expect(422, "POST", "/api/products/bulk", json=body, key="owner")

    def test_a_thousand_at_once(self):
        items = [mouse(f"THOUSAND-{n}", category=["Thousand"]) for n in range(1000)]
        answer = self.expect(200, "POST", "/api/products/bulk", json={"items": items}, key="owner").json["items"]
        self.assertEqual({entry["status"] for entry in answer}, {201})
        found = self.expect(200, "GET", "/api/products/search?category=Thousand&size=1")
        self.assertEqual(found.json["total"], 1000)


class Lists(Case):
    @classmethod
    def prepare(cls):
        items = [mouse(f"LIST-{n:02}", name=f"Item {n:02}", price=10 + n, stock=n,
                       category=["Even" if n % 2 == 0 else "Odd"],
                       status="draft" if n >= 20 else "active") for n in range(25)]
        answer = cls.call("POST", "/api/products/bulk", json={"items": items}, key="owner")
        assert answer.status == 200, answer

    def walk(self, path):
        """All items of a listing by its Link headers, and how many pages it had."""
        items, pages = [], 0
        while path:
            answer = self.expect(200, "GET", path)
            items += answer.json["items"]
            link = answer.headers.get("Link")
            self.assertEqual(link is None, answer.json["nextCursor"] is None)
            path = link and link[1:link.index(">")]
            pages += 1
        return items, pages

    def test_pages_by_cursor(self):
        for sort in ("name", "-name", "price", "-price", "-createdAt", "stock", "sku"):
            items, pages = self.walk(f"/api/products?limit=7&sort={sort}")
            self.assertEqual(pages, 3, sort)
            self.assertEqual(len({item["id"] for item in items}), 20, sort)
            field = sort.lstrip("-")
            values = [item[field] for item in items]
            self.assertEqual(values, sorted(values, reverse=sort.startswith("-")), sort)

    def test_pages_by_number(self):
        first = self.expect(200, "GET", "/api/products?sort=sku&page=1&size=8").json["items"]
        last = self.expect(200, "GET", "/api/products?sort=sku&page=3&size=8").json["items"]
        self.assertEqual([item["sku"] for item in first][:2], ["LIST-00", "LIST-01"])
        self.assertEqual([item["sku"] for item in last], ["LIST-16", "LIST-17", "LIST-18", "LIST-19"])

    def test_filters(self):
        def skus(query):
            answer = self.expect(200, "GET", "/api/products?limit=100&sort=sku&" + query)
            return [item["sku"] for item in answer.json["items"]]
        self.assertEqual(len(skus("status=draft")), 5)
        self.assertEqual(len(skus("status=all")), 25)
        self.assertEqual(len(skus("category=Odd")), 10)
        self.assertEqual(skus("minPrice=12.00&maxPrice=14"), ["LIST-02", "LIST-03", "LIST-04"])
        self.assertEqual(skus("category=Even&maxPrice=13"), ["LIST-00", "LIST-02"])
        self.assertEqual(skus("category=None"), [])

    def test_fields(self):
        items = self.expect(200, "GET", "/api/products?fields=name,price&limit=2").json["items"]
        self.assertEqual({frozenset(item) for item in items}, {frozenset(("id", "name", "price"))})

    def test_low_stock(self):
        items = self.expect(200, "GET", "/api/products/low-stock?threshold=3").json["items"]
        self.assertEqual([item["stock"] for item in items], [0, 1, 2, 3])
        self.assertEqual(len(self.expect(200, "GET", "/api/products/low-stock").json["items"]), 11)

    def test_what_is_refused_is_named(self):
        for query in ("colour=red", "limit=0", "limit=101", "sort=color", "status=gone", "minPrice=cheap",
                      "minPrice=1.001", "fields=rev", "cursor=abc", "limit=1&limit=2", "page=0"):
            answer = self.expect(400, "GET", "/api/products?" + query)
            self.assertIn(query.split("=")[0], answer.json["detail"], query)
            self.assertEqual(answer.json["errors"][0]["parameter"], query.split("=")[0])
        self.expect(400, "GET", "/api/products?%ff=1")
        both = self.expect(400, "GET", "/api/products?colour=red&limit=0").json
        self.assertEqual([error["parameter"] for error in both["errors"]], ["colour", "limit"])

    def test_a_cursor_fits_only_its_listing(self):
        cursor = self.expect(200, "GET", "/api/products?limit=2&sort=name").json["nextCursor"]
        self.expect(200, "GET", "/api/products?limit=5&sort=name&cursor=" + cursor)
        wrong = self.expect(400, "GET", "/api/products?limit=2&sort=price&cursor=" + cursor)
        self.assertEqual(wrong.json["code"], "invalid_cursor")
        self.expect(400, "GET", "/api/products?limit=2&sort=name&cursor=" + cursor[:-2])

    def test_methods(self):
        wrong = self.expect(405, "DELETE", "/api/products")
        self.assertIn("POST", wrong.headers.get("Allow"))
        search = self.expect(405, "PATCH", "/api/products/search")
        self.assertEqual(search.headers.get("Allow"), "GET, HEAD, OPTIONS")
        head = self.expect(200, "HEAD", "/api/products?limit=1")
        self.assertEqual(head.body, b"")
        self.assertTrue(json.loads(self.expect(200, "GET", "/api/products?limit=1").text)["items"])


if __name__ == "__main__":
    main()
