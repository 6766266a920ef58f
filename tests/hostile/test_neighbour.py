#!/usr/bin/env python3
"""test_neighbour.py: a shop for each hostile script, all on one worker, while the shop next door is being served.

A script is published three times: as a rule that attacks at once, which the trial has to refuse; as a rule that
behaves on the sample carts and attacks a real one; and as a page of the shop. Next door no request may fail and no
total change.
"""
import concurrent.futures
import glob
import json
import os
import re
import shutil
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.load import Load  # noqa: E402
from lib.server import ROOT, Server  # noqa: E402

FOLDER = os.path.join(ROOT, "tests", "hostile", "attacks")
SESSION = "session-of-the-neighbour"
BUDGETS = {"budget_time", "budget_instructions", "budget_memory", "budget_depth"}
FAULTS = BUDGETS | {"forbidden", "bad_result", "rule_error", "syntax"}
# Quantity 7 is in no sample cart.
TRAP = """return function(cart)
  local function attack(...) {text}
  end
  for _, line in ipairs(cart.items) do
    if line.quantity == 7 then attack() end
  end
  return {{}}
end
"""
PAGE = """return {{ ["GET /attack"] = function(...) {text}
end }}
"""


class Attack:
    """One script: its text, what its first line expects, and the shop that publishes it."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as source:
            self.text = source.read()
        name = os.path.basename(path)[:-4]
        self.expected = re.match(r"-- expect: (\S+)", self.text).group(1)
        self.shop = "h-" + name.replace("_", "-")
        self.product = None

    def found(self, report):
        """What the trial said about the shop's rules: the codes, or an empty set when they went live."""
        found = rf"/{self.shop}/\w+\.lua(?::\d+)?: .*\((\w+)(?:, samples/[\w.-]+(?: and \d+ more)?)?\)$"
        return set(re.findall(found, report, re.M))

    def allows(self, code):
        """Which budget goes first depends on the machine and on the limits."""
        return code == self.expected or (self.expected in BUDGETS and code in BUDGETS) or code == "budget_time"


class Neighbour(Case):
    settings = {"log_level": "info"}

    @classmethod
    def make_server(cls):
        server = Server(**cls.settings)
        cls.attacks = [Attack(path) for path in sorted(glob.glob(os.path.join(FOLDER, "*.lua")))]
        for attack in cls.attacks:
            cls.open_shop(server, attack)
        return server

    @staticmethod
    def open_shop(server, attack):
        source, target = (os.path.join(server.tenants, slug) for slug in ("acme", attack.shop))
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("samples", "routes.lua"))
        with open(os.path.join(target, "tenant.json"), encoding="utf-8") as text:
            document = json.load(text)
        del document["customDomain"]
        document.update(id=str(uuid.uuid4()), slug=attack.shop, subdomain=attack.shop, name=attack.shop)
        with open(os.path.join(target, "tenant.json"), "w", encoding="utf-8") as text:
            json.dump(document, text)

    @classmethod
    def prepare(cls):
        cls.pids = cls.server.worker_pids()
        cls.add(cls.sell("acme"), "acme", SESSION, 3)
        cls.total = cls.call("GET", "/api/cart", session=SESSION).json["total"]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for attack, product in zip(cls.attacks, pool.map(cls.sell, [attack.shop for attack in cls.attacks])):
                attack.product = product

    @classmethod
    def sell(cls, shop):
        body = {"name": "Rope", "sku": "ROPE", "price": "19.99", "stock": 100}
        answer = cls.call("POST", "/api/products", json=body, key="owner", tenant=shop)
        assert answer.status == 201, f"{shop}: {answer}"
        return answer.json["id"]

    @classmethod
    def add(cls, product, shop, session, quantity):
        body = {"productId": product, "quantity": quantity}
        return cls.call("POST", "/api/cart/items", json=body, session=session, tenant=shop)

    def publish(self, name, template):
        """Writes the file in every hostile shop and returns what the server says of them all."""
        for attack in self.attacks:
            with open(os.path.join(self.server.tenants, attack.shop, name), "w", encoding="utf-8") as target:
                target.write(template.format(text=attack.text))
        done = self.server.run("reload", "--wait")
        return done.stdout + done.stderr

    def judge(self, body, _):
        cart = json.loads(body)
        assert cart["total"] == self.total, cart

    def load(self):
        headers = {"Host": f"acme.localhost:{self.server.port}", "X-Session-ID": SESSION}
        return Load(self.server.port, "/api/cart", clients=2, headers=headers, judge=self.judge)

    def served(self, load):
        """The neighbour has been served throughout, by the same worker."""
        self.assertEqual(load.faults, [])
        self.assertTrue(all(load.answers), load.answers)
        self.assertEqual(self.server.worker_pids(), self.pids, self.server.log()[-4000:])

    def tearDown(self):
        """Calm rules again: a rule that failed thrice within a minute would rest in the next test."""
        for attack in self.attacks:
            folder = os.path.join(self.server.tenants, attack.shop)
            shutil.copy(os.path.join(ROOT, "tenants", "acme", "pricing.lua"), folder)
            if os.path.exists(os.path.join(folder, "routes.lua")):
                os.remove(os.path.join(folder, "routes.lua"))
        self.server.run("reload", "--wait")

    def test_the_trial_refuses_what_attacks_at_once(self):
        with self.load() as load:
            report = self.publish("pricing.lua", "{text}")
        self.served(load)
        log = self.server.log()
        for attack in self.attacks:
            with self.subTest(attack.shop):
                codes = attack.found(report)
                if attack.expected == "ok":
                    self.assertLessEqual(codes, {"bad_result"}, report)
                    continue
                self.assertTrue(codes, f"{attack.shop} went live")
                self.assertTrue(all(attack.allows(code) or code == "forbidden" for code in codes), codes)
                self.assertRegex(log, rf'"edition_refused".*"source":"tenants/{attack.shop}"')
                cart = self.expect(200, "GET", "/api/cart", tenant=attack.shop, session="session-of-a-test").json
                self.assertEqual(cart["items"], [])

    def test_a_cart_that_is_attacked_is_priced_by_the_edition_before(self):
        calm = {attack.shop: self.buy(attack, 1)["ruleEdition"] for attack in self.attacks}
        with self.load() as load:
            for attack in self.live_after("pricing.lua", TRAP):
                with self.subTest(attack.shop):
                    self.fall_in(attack, calm[attack.shop])
        self.served(load)

    def live_after(self, name, template):
        """Publishes, and returns the attacks that passed the trial; the others must have been refused unread."""
        report = self.publish(name, template)
        for attack in self.attacks:
            self.assertLessEqual(attack.found(report), {"forbidden", "syntax"}, report)
        live = [attack for attack in self.attacks if not attack.found(report)]
        self.assertGreater(len(live), len(self.attacks) / 2, report)
        return live

    def fall_in(self, attack, calm):
        cart = self.buy(attack, 7)
        self.assertEqual(cart["subtotal"], 139.93)
        failed = re.findall(rf'"rule_failed".*"tenant":"{attack.shop}".*"code":"(\w+)"', self.server.log())
        if cart["ruleEdition"] == calm:
            self.assertTrue(failed and all(map(attack.allows, failed)), (attack.expected, failed))
        else:
            self.assertIn(attack.expected, ("ok", "bad_result"), failed)
        self.assertEqual(self.buy(attack, 1)["subtotal"], 19.99)

    def buy(self, attack, quantity):
        """The cart of a session of its own with so many of the shop's product."""
        session = f"{attack.shop}-{uuid.uuid4()}"
        answer = self.add(attack.product, attack.shop, session, quantity)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_a_page_that_attacks_is_a_plain_500(self):
        with self.load() as load:
            for attack in self.live_after("routes.lua", PAGE):
                with self.subTest(attack.shop):
                    self.visit(attack)
        self.served(load)

    def visit(self, attack):
        answer = self.call("GET", "/attack", tenant=attack.shop)
        failed = re.findall(rf'"tenant_route_failed".*"tenant":"{attack.shop}".*"code":"(\w+)"', self.server.log())
        if answer.status != 500:
            self.assertIn(answer.status, (200, 204), answer)
            return
        self.assertEqual(answer.headers.get("Content-Type"), "application/problem+json")
        self.assertEqual(answer.json["detail"], "the shop's own code for this page failed")
        self.assertTrue(failed and set(failed) <= FAULTS, failed)
        self.assertEqual(self.expect(200, "GET", "/api/cart", tenant=attack.shop, session=SESSION).json["items"], [])


if __name__ == "__main__":
    main()
