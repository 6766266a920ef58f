#!/usr/bin/env python3
"""test_import.py: `perigee import` on Shopify exports: what rows mean, bad rows, strictness, running twice."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import engines  # noqa: E402
from lib.case import Case, main  # noqa: E402
from lib.server import Server  # noqa: E402

HEADER = ("Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
          "Variant SKU,Variant Grams,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Image Src,"
          "Image Position,Image Alt Text,Variant Image,Status\n")
SHIRT = ('shirt,Blue Shirt,"<p>Cotton,\nlong</p>",Weaver,Tops,"men, summer",true,Size,Small,Shoe color,Deep Blue,,180,'
         "5,deny,49.90,https://i.example/2.jpg,2,back,https://i.example/own.jpg,\n"
         "shirt,,,,,,,,Large,,Red,SHIRT-L,200.5,3,continue,50,https://i.example/1.jpg,1,front,,\n"
         "shirt,,,,,,,,,,,,,,,,https://i.example/3.jpg,3,,,\n")
MUG = "mug,Mug,,,,,true,Title,Default Title,,,,350,7,deny,9.95,,,,,active\n"


class Import(Case):
    def file(self, text, name="export.csv"):
        path = os.path.join(self.server.folder, name)
        with open(path, "w", encoding="utf-8", newline="") as out:
            out.write(text)
        return path

    def load(self, text, *options, code=0, tenant="acme"):
        done = self.server.run("import", "--tenant", tenant, self.file(text), *options)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done

    def by_sku(self, sku, status=200, tenant="acme"):
        return self.expect(status, "GET", "/api/products/by-sku/" + sku, tenant=tenant).json

    def test_variants_become_products(self):
        done = self.load(HEADER + SHIRT + MUG)
        self.assertIn("3 added, 0 updated, 0 unchanged, 0 skipped of 3 variants", done.stdout)
        self.assertEqual(done.stderr, "")
        small, large, mug = self.by_sku("SHIRT-SMALL-DEEP-BLUE"), self.by_sku("SHIRT-L"), self.by_sku("MUG")
        self.assertEqual((small["name"], large["name"], mug["name"]),
                         ("Blue Shirt - Small / Deep Blue", "Blue Shirt - Large / Red", "Mug"))
        self.assertEqual(small["attributes"], {"size": "Small", "shoeColor": "Deep Blue", "brand": "Weaver"})
        self.assertEqual((mug["attributes"], mug["category"], mug["images"]), ({}, [], []))
        self.assertEqual(large["category"], ["Tops", "men", "summer"])
        self.assertEqual((small["price"], large["price"], mug["price"]), (49.9, 50, 9.95))
        self.assertEqual((small["weightGrams"], large["weightGrams"]), (180, 201))
        self.assertEqual((small["stock"], small["stockPolicy"], large["stock"], large["stockPolicy"]),
                         (5, "deny", 3, "continue"))
        self.assertEqual([image["url"][-7:] for image in small["images"]], ["own.jpg", "e/1.jpg", "e/2.jpg", "e/3.jpg"])
        self.assertEqual([(image["alt"], image["order"]) for image in large["images"]],
                         [("front", 0), ("back", 1), ("", 2)])
        self.assertEqual(large["description"], "<p>Cotton,\nlong</p>")
        answer = self.expect(200, "GET", "/api/products/by-sku/SHIRT-SMALL-DEEP-BLUE")
        self.assertIn('"price":49.90', answer.text)
        found = self.expect(200, "GET", "/api/products/search?q=shirt&attr.brand=Weaver").json
        self.assertEqual(found["total"], 2)

    def test_running_twice_updates_and_doubles_nothing(self):
        text = HEADER + "cup,Cup,,,,,true,Title,Default Title,,,CUP-1,100,7,deny,3.00,,,,,\n"
        self.load(text)
        first = self.by_sku("CUP-1")
        self.assertIn("0 added, 0 updated, 1 unchanged", self.load(text).stdout)
        self.assertEqual(self.by_sku("CUP-1"), first)
        self.assertIn("0 added, 1 updated", self.load(text.replace("3.00", "4.5").replace(",7,", ",8,")).stdout)
        second = self.by_sku("CUP-1")
        self.assertEqual((second["id"], second["createdAt"], second["version"], second["price"], second["stock"]),
                         (first["id"], first["createdAt"], 2, 4.5, 8))

    def test_bad_rows_are_named_and_skipped(self):
        text = HEADER + (
            "good,Good,,,,,true,Title,Default Title,,,BAD-0,1,1,deny,1.00,,,,,\n"
            "a,A,,,,,true,Title,Default Title,,,BAD-1,1,1,deny,cheap,,,,,\n"
            "b,B,\"two\nlines\",,,,true,Title,Default Title,,,BAD-2,1,1,deny,1.005,,,,,\n"
            "c,C,,,,,true,Title,Default Title,,,BAD-3,heavy,1,deny,1.00,,,,,\n"
            "d,D,,,,,true,Title,Default Title,,,BAD-4,1,1,maybe,1.00,,,,,\n"
            "e,,,,,,true,Title,Default Title,,,BAD-5,1,1,deny,1.00,,,,,\n"
            "f,F,,,,,true,Title,Default Title,,,BAD-0,1,1,deny,1.00,,,,,\n"
            ",G,,,,,true,Title,Default Title,,,BAD-7,1,1,deny,1.00,,,,,\n"
            "h,H,,,,,true,Title,Default Title,,,BAD-8,1,1,deny,,,,,,\n"
            "i,I,,,,,true,Title,Default Title,,,BAD-0,much,1,maybe,dear,,,,,\n"
            "j,J,,\n"
            "last,Last,,,,,true,Title,Default Title,,,BAD-9,1,1,deny,2.00,,,,,\n")
        done = self.load(text, "--strict", code=1)
        self.assertIn("nothing was loaded", done.stderr)
        self.by_sku("BAD-0", status=404)
        done = self.load(text)
        self.assertIn("2 added, 0 updated, 0 unchanged, 10 skipped of 12 variants", done.stdout)
        lines = done.stderr.strip().split("\n")
        self.assertEqual([int(line.split(":")[1]) for line in lines],
                         [3, 4, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 13], done.stderr)
        for line, word in zip(lines, ("Variant Price", "Variant Price", "Variant Grams", "Variant Inventory Policy",
                                      "Title", "line 2", "Handle", "Variant Price is empty",
                                      "line 2", 'Price must be an amount, not "dear"', 'not "maybe"', 'not "much"',
                                      "too few columns: 4 instead of the header's 21")):
            self.assertIn(word, line)
            self.assertTrue(line.startswith(os.path.join(self.server.folder, "export.csv") + ":"))
        self.assertEqual((self.by_sku("BAD-0")["price"], self.by_sku("BAD-9")["price"]), (1, 2))

    def test_strict_loads_what_is_good(self):
        self.load(HEADER + "s,S,,,,,false,Title,Default Title,,,STRICT-1,1,1,deny,1.00,,,,,\n", "--strict")
        self.assertEqual(self.by_sku("STRICT-1")["status"], "draft")

    def test_the_currency_of_the_shop_decides(self):
        done = self.load(HEADER + "y,Y,,,,,true,Title,Default Title,,,YEN-1,1,1,deny,42.99,,,,,\n"
                         "z,Z,,,,,true,Title,Default Title,,,YEN-2,1,1,deny,4200,,,,,\n", tenant="tokyo")
        self.assertIn("1 added", done.stdout)
        self.assertEqual(self.by_sku("YEN-2", tenant="tokyo")["price"], 4200)
        self.by_sku("YEN-2", status=404)

    def test_bytes_of_other_programs(self):
        text = HEADER + "bom,Bom,,,,,TRUE,Title,Default Title,,,BOM-1,1,1,DENY,1.00,,,,,ACTIVE\n\n"
        self.assertIn("1 added", self.load("\ufeff" + text.replace("\n", "\r\n")).stdout)
        self.assertEqual(self.by_sku("BOM-1")["status"], "active")

    def test_what_cannot_be_an_export(self):
        self.assertIn("Handle is missing", self.load("a,b\n1,2\n", code=1).stderr)
        self.assertIn("empty", self.load("", code=1).stderr)
        run = self.server.run
        self.assertIn("no such file", run("import", "--tenant", "acme", "nowhere.csv").stderr.lower())
        self.assertEqual(run("import", "--tenant", "nobody", self.file(HEADER)).returncode, 1)
        for words in (("import",), ("import", "--tenant", "acme"), ("import", "x.csv"),
                      ("import", "--tenant", "acme", "x.csv", "--fast")):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage:", done.stderr)

    def test_a_large_export(self):
        rows = "".join(f"bulk-{n},Bulk {n},,,,Many,true,Title,Default Title,,,LARGE-{n},1,1,deny,1.00,,,,,\n"
                       for n in range(1200))
        self.assertIn("1200 added", self.load(HEADER + rows).stdout)
        self.assertEqual(self.expect(200, "GET", "/api/products/search?category=Many&size=1").json["total"], 1200)


class ImportOnRedis(Import):
    """What is printed is about the file, wherever the cache is."""

    @classmethod
    def make_server(cls):
        cls.redis = engines.Single()
        return Server(redis_url=cls.redis.url)

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.redis.close()


if engines.embedded_only():
    del ImportOnRedis

if __name__ == "__main__":
    main()
