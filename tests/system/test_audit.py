#!/usr/bin/env python3
"""test_audit.py: every change of a price and every swap of rules is noted once: who, when, from what to what."""
import csv
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server, eventually  # noqa: E402 pylint: disable=wrong-import-position

EXPORT = ("Handle,Title,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,"
          "Variant Inventory Policy,Variant Price,Status\n"
          "mug,Mug,true,Title,Default Title,{sku},350,7,deny,{price},active\n")

TOKYO = "01936b5c-7a00-7000-8000-00000000709c"
# More than one page; an actor that a spreadsheet would take for a formula.
MANY = """
local stores = require "stores"
for i = 0, 4 do
  local steps = {}
  for n = 1, 500 do
    steps[n] = { "audit_add", { actor = "=cmd", action = "test", subject = "many", after = { n = i * 500 + n } } }
  end
  assert(stores.ledger.apply(arg[1], steps))
end
return 0
"""


class Audit(Case):
    settings = {"workers": 2, "log_level": "debug"}
    number = 0

    def product(self, price="10.00"):
        Audit.number += 1
        body = {"name": "Thing", "sku": f"AUDIT-{Audit.number}", "price": price, "stock": 10}
        return self.expect(201, "POST", "/api/products", json=body, key="owner").json

    def records(self, query="", **options):
        return self.expect(200, "GET", "/api/audit?limit=100" + query, key="owner", **options).json["items"]

    def about(self, subject):
        return [record for record in self.records() if record["subject"] == subject]

    def swaps(self, tenant="acme"):
        return [record for record in self.records(tenant=tenant) if record["action"] == "rules.swap"]

    def edition(self):
        return self.expect(200, "GET", "/api/cart", session="a-session-of-the-test").json["ruleEdition"]

    def test_a_changed_price(self):
        product = self.product()
        path = "/api/products/" + product["id"]
        answer = self.expect(200, "PATCH", path, json={"price": "12.50"}, key="owner",
                             headers={"X-Request-ID": "who-did-it"})
        self.expect(200, "PATCH", path, json={"name": "Another name", "price": "12.5"}, key="owner")
        record, = self.about(product["id"])
        self.assertEqual({name: record[name] for name in ("action", "actor", "requestId", "before", "after")}, {
            "action": "product.price", "actor": "owner", "requestId": "who-did-it",
            "before": {"price": 10, "currency": "USD"}, "after": {"price": 12.5, "currency": "USD"}})
        self.assertEqual(record["at"][:10], answer.json["updatedAt"][:10])
        self.assertRegex(record["id"], "^[0-9a-f-]{36}$")
        self.assertEqual(set(record), {"id", "at", "actor", "action", "subject", "before", "after", "requestId"})
        whole = self.expect(200, "GET", path).json
        self.assertNotIn("audits", whole)
        whole.update(price="9.00")
        self.expect(200, "PUT", path, json=whole, key="owner")
        self.assertEqual([(one["before"]["price"], one["after"]["price"]) for one in self.about(product["id"])],
                         [(10, 12.5), (12.5, 9)])

    def test_a_refused_change_leaves_no_record(self):
        product = self.product()
        self.expect(412, "PATCH", "/api/products/" + product["id"], json={"price": 1}, key="owner",
                    headers={"If-Match": '"7"'})
        self.expect(422, "PATCH", "/api/products/" + product["id"], json={"price": "1.234"}, key="owner")
        self.assertEqual(self.about(product["id"]), [])

    def test_imported_prices(self):
        path = os.path.join(self.server.folder, "export.csv")
        for price in ("9.95", "10.95", "10.95"):
            with open(path, "w", encoding="utf-8") as out:
                out.write(EXPORT.format(sku="AUDIT-MUG", price=price))
            self.assertEqual(self.server.run("import", "--tenant", "acme", path).returncode, 0)
        product = self.expect(200, "GET", "/api/products/by-sku/AUDIT-MUG").json
        record, = self.about(product["id"])
        self.assertTrue(record["actor"].startswith("import:"), record)
        self.assertEqual((record["before"]["price"], record["after"]["price"]), (9.95, 10.95))

    def test_swapped_rules_are_noted_once(self):
        path = os.path.join(self.server.tenants, "acme", "pricing.lua")
        with open(path, encoding="utf-8") as source:
            text = source.read()
        editions = [self.edition()]
        noted = len(self.swaps())
        for i in range(1, 4):
            with open(path, "w", encoding="utf-8") as out:
                out.write(text + f"-- {i % 2}\n")  # the third time it is the first one again
            self.assertEqual(self.server.run("reload", "--wait").returncode, 0)
            editions.append(self.edition())
            eventually(lambda count=noted + i: len(self.swaps()) >= count, "the swap is noted")
        self.assertEqual(editions[1], editions[3])
        swaps = self.swaps()[noted:]
        self.assertEqual([(swap["actor"], swap["subject"], swap["before"], swap["after"]) for swap in swaps],
                         [("file", "rules", {"edition": before}, {"edition": after})
                          for before, after in zip(editions, editions[1:])])
        self.assertEqual(self.swaps("tokyo"), [])
        # What came of it is still there when all workers start anew, and nothing is added.
        self.server.stop()
        self.server.start()
        self.assertEqual(self.swaps()[noted:], swaps)

    def test_rules_that_changed_while_no_server_ran(self):
        path = os.path.join(self.server.tenants, "acme", "shipping.lua")
        before, noted = self.edition(), len(self.swaps())
        self.server.stop()
        with open(path, "a", encoding="utf-8") as out:
            out.write("-- changed meanwhile\n")
        self.server.start()
        eventually(lambda: len(self.swaps()) > noted, "the swap is noted")
        swap, = self.swaps()[noted:]
        self.assertEqual((swap["before"], swap["after"]), ({"edition": before}, {"edition": self.edition()}))

    def test_changed_settings(self):
        path = os.path.join(self.server.tenants, "tokyo", "tenant.json")
        with open(path, encoding="utf-8") as source:
            document = json.load(source)
        before = document["settings"].get("lowStockThreshold")
        document["settings"].update(lowStockThreshold=77, paymentSecret="sesame-1",
                                    mail={"apiKey": "sesame-2", "from": "a"})
        with open(path, "w", encoding="utf-8") as out:
            json.dump(document, out)
        self.assertEqual(self.server.run("reload", "--wait").returncode, 0)

        def changes():
            return [record for record in self.records(tenant="tokyo") if record["action"] == "settings.change"]
        eventually(changes, "the change is noted")
        record, = changes()
        self.assertEqual((record["actor"], record["subject"]), ("file", "settings"))
        self.assertEqual(record["before"].get("lowStockThreshold"), before)
        self.assertEqual(record["after"], {"lowStockThreshold": 77, "paymentSecret": "(hidden)",
                                           "mail": {"apiKey": "(hidden)", "from": "a"}})
        self.server.stop()
        self.server.start()
        self.assertEqual(changes(), [record])
        self.assertEqual(self.swaps("tokyo"), [])

    @staticmethod
    def noted(server, edition):
        return sum('"rules_noted"' in line and edition in line for line in server.log().splitlines())

    def test_every_worker_of_two_servers_sees_a_swap_and_it_is_noted_once(self):
        other = Server(data=self.server.data, tenants=self.server.tenants, scripts=self.server.scripts,
                       **{**self.settings, "workers": 2})
        try:
            other.start()
            noted, edition = len(self.swaps()), self.edition()
            with open(os.path.join(self.server.tenants, "acme", "tax.lua"), "a", encoding="utf-8") as out:
                out.write("-- for two\n")
            eventually(lambda: self.edition() != edition, "the rules are live")
            new = self.edition()
            for server in (self.server, other):
                eventually(lambda at=server: self.noted(at, new) == 2, "both workers have noted it")
            swap, = self.swaps()[noted:]
            self.assertEqual((swap["before"], swap["after"]), ({"edition": edition}, {"edition": self.edition()}))
            self.assertEqual(other.stop(), 0)
        finally:
            other.kill()

    def test_lists_and_who_may_read_them(self):
        product = self.product()
        for price in range(11, 16):
            self.expect(200, "PATCH", "/api/products/" + product["id"], json={"price": price}, key="owner")
        seen, cursor = [], ""
        while cursor is not None:
            page = self.expect(200, "GET", "/api/audit?limit=2" + cursor, key="owner").json
            self.assertLessEqual(len(page["items"]), 2)
            seen += page["items"]
            cursor = page["nextCursor"] and "&cursor=" + page["nextCursor"]
        self.assertEqual(seen, self.records())
        self.assertEqual([record["after"]["price"] for record in seen if record["subject"] == product["id"]],
                         [11, 12, 13, 14, 15])
        last = seen[-1]["at"]
        self.assertEqual({record["at"] for record in self.records("&from=" + last)}, {last})
        self.assertNotIn(last, [record["at"] for record in self.records("&to=" + last)])
        self.assertEqual(self.records("&from=2100-01-01T00:00:00Z"), [])
        self.expect(401, "GET", "/api/audit")
        self.expect(403, "GET", "/api/audit", key="demo-owner-tokyo")
        self.assertNotIn(product["id"], str(self.records(tenant="tokyo")))
        for wrong in ("from=yesterday", "limit=0", "who=me", "cursor=xx"):
            self.expect(400, "GET", "/api/audit?" + wrong, key="owner")

    def export(self, *arguments, code=0):
        done = self.server.run("audit", "export", *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_export(self):
        product = self.product()
        for price in ("11.10", "12.20"):
            self.expect(200, "PATCH", "/api/products/" + product["id"], json={"price": price}, key="owner")
        path = os.path.join(self.server.folder, "audit.csv")
        done = self.export("--tenant", "acme", path)
        records = self.records()
        said = [line for line in done.stderr.splitlines() if not line.startswith("{")]  # but for log lines
        self.assertEqual((done.stdout, said), ("", [f"acme: {len(records)} records"]))
        with open(path, encoding="utf-8", newline="") as source:
            rows = list(csv.DictReader(source))
        self.assertEqual([(row["id"], row["at"], row["actor"], row["action"], row["subject"], row["requestId"])
                          for row in rows],
                         [(record["id"], record["at"], record["actor"], record["action"], record["subject"],
                           record.get("requestId", "")) for record in records])
        mine = [row for row in rows if row["subject"] == product["id"]]
        self.assertEqual([row["after"] for row in mine],
                         ['{"currency":"USD","price":11.10}', '{"currency":"USD","price":12.20}'])
        self.assertNotIn("demo-owner", str(rows))
        screen = self.export("--tenant=acme", "--from", records[-1]["at"], "--to=2100-01-01", "-")
        self.assertIn(records[-1]["id"], screen.stdout)
        self.assertNotIn(product["id"], self.export("--tenant", "tokyo", "-").stdout)
        self.assertEqual(os.listdir(os.path.dirname(path)).count("audit.csv.part"), 0)

    def test_export_says_what_is_wrong(self):
        self.export("--tenant", "nobody", "-", code=1)
        self.export("--tenant", "acme", "/nowhere/at/all.csv", code=1)
        for wrong in (["--tenant", "acme"], ["-"], ["--tenant", "acme", "--from", "noon", "-"],
                      ["--tenant", "acme", "--what", "-"]):
            self.assertIn("usage", self.export(*wrong, code=2).stderr)
        self.assertEqual(self.server.run("audit").returncode, 2)
        self.assertIn("--from", self.server.run("audit", "--help").stdout)


class WithoutLedger(Case):
    """The ledger's file cannot be opened, until it can."""

    settings = {"workers": 2}

    @classmethod
    def make_server(cls):
        server = Server(**cls.settings)
        cls.obstacle = os.path.join(server.data, "ledger.db")
        os.mkdir(cls.obstacle)
        return server

    def test_what_could_not_be_noted_is_noted_later_and_once(self):
        product = self.expect(201, "POST", "/api/products", key="owner", json={
            "name": "Thing", "sku": "LATER-1", "price": 10, "stock": 1}).json
        path = "/api/products/" + product["id"]
        for price in (11, 12):
            self.expect(200, "PATCH", path, json={"price": price}, key="owner")
        found = self.expect(200, "GET", "/api/products/search?q=thing").json
        self.assertEqual(found["items"][0]["price"], 12)
        settings = os.path.join(self.server.tenants, "acme", "tenant.json")
        with open(settings, encoding="utf-8") as source:
            document = json.load(source)
        document["settings"]["lowStockThreshold"] = 3
        with open(settings, "w", encoding="utf-8") as out:
            json.dump(document, out)
        with open(os.path.join(self.server.tenants, "acme", "tax.lua"), "a", encoding="utf-8") as out:
            out.write("-- unnoted\n")
        self.assertEqual(self.server.run("reload", "--wait").returncode, 0)
        self.expect(503, "GET", "/api/audit", key="owner")
        os.rmdir(self.obstacle)

        def noted():
            answer = self.call("GET", "/api/audit", key="owner")
            return answer.status == 200 and len(answer.json["items"]) == 4 and answer.json["items"]
        items = eventually(noted, "all is noted")
        self.assertEqual(sorted(item["action"] for item in items),
                         ["product.price", "product.price", "rules.swap", "settings.change"])
        prices = [(item["before"]["price"], item["after"]["price"]) for item in items
                  if item["action"] == "product.price"]
        self.assertEqual(prices, [(10, 11), (11, 12)])


class LongExport(Case):
    def test_a_long_export_goes_page_by_page_and_shows_how_far_it_is(self):
        script = os.path.join(self.server.folder, "many.lua")
        with open(script, "w", encoding="utf-8") as out:
            out.write(MANY)
        self.assertEqual(self.server.run("script", script, TOKYO).returncode, 0)
        path = os.path.join(self.server.folder, "many.csv")
        done = self.server.run("audit", "export", "--progress", "--tenant", "tokyo", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1000 records, up to 20", done.stderr)
        with open(path, encoding="utf-8", newline="") as source:
            mine = [row for row in csv.DictReader(source) if row["subject"] == "many"]
        self.assertEqual([row["after"] for row in mine], [f'{{"n":{n}}}' for n in range(1, 2501)])
        self.assertEqual({row["actor"] for row in mine}, {"'=cmd"})


if __name__ == "__main__":
    main()
