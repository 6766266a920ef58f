#!/usr/bin/env python3
"""test_reload.py: edits of rules and handlers go live whole, or are refused whole, and no request notices."""
import json
import os
import re
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, call, main  # noqa: E402
from lib.load import Load  # noqa: E402
from lib.probe import ProbeServer, write  # noqa: E402
from lib.server import eventually  # noqa: E402

# Two rules of one edition say its number: an answer that mixes two editions shows two numbers.
PRICING = """-- pricing.lua: takes one percent off and says which edition did.
return function(cart, ctx)
  return { { order = true, percent = 1, reason = "edition %d" } }
end
"""
SHIPPING = """-- shipping.lua: one way to ship, named by its edition.
return function(cart, ctx)
  return { { id = "std", name = "edition %d", amount = 100 } }
end
"""
ROUTES = """-- routes.lua: a page that says its edition.
return { ["GET /edition"] = function() return { edition = %d } end }
"""
SESSION = "session-of-the-reload-tests"


class Live(Case):
    """One server with two workers; each test leaves good rules and handlers behind."""

    number = 0

    @classmethod
    def make_server(cls):
        server = ProbeServer(workers=2)
        # The samples of the demo shops expect their own rules' totals.
        samples = server.tenant_file("samples")
        shutil.rmtree(samples)
        os.mkdir(samples)
        write(os.path.join(samples, "one.json"), json.dumps({"items": [{"sku": "A", "price": 10, "quantity": 2}]}))
        return server

    @classmethod
    def prepare(cls):
        body = {"name": "Thing", "sku": "RELOAD-1", "price": 100, "stock": 1000}
        product = cls.call("POST", "/api/products", json=body, key="owner").json
        cls.call("POST", "/api/cart/items", json={"productId": product["id"], "quantity": 1}, session=SESSION)

    def setUp(self):
        self.write_rules()
        self.reload()

    @classmethod
    def write_rules(cls):
        Live.number += 1
        write(cls.server.tenant_file("shipping.lua"), SHIPPING % Live.number)
        write(cls.server.tenant_file("pricing.lua"), PRICING % Live.number)
        return Live.number

    def reload(self, code=0):
        result = self.server.run("reload", "--wait")
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return result

    def cart(self, **options):
        return self.expect(200, "GET", "/api/cart", session=SESSION, **options).json

    def numbers(self, cart):
        return [int(cart["discounts"][0]["reason"].split()[1]), int(cart["shippingOptions"][0]["name"].split()[1])]

    def test_saved_rule_goes_live_by_itself(self):
        number = self.write_rules()
        eventually(lambda: self.numbers(self.cart()) == [number, number], "the new rule prices")
        eventually(lambda: self.cart()["ruleEdition"] in self.server.log(), "the log names the edition")

    def test_reload_returns_when_the_rule_is_live_in_every_worker(self):
        number = self.write_rules()
        result = self.reload()
        for _ in range(10):  # each on a connection of its own: both workers answer
            self.assertEqual(self.numbers(self.cart()), [number, number])
        if result.stdout != "nothing has changed\n":  # the watch may have been faster
            self.assertEqual(result.stdout, f"tenants/acme is live: {self.cart()['ruleEdition']}\n")

    def test_reload_without_wait(self):
        number = self.write_rules()
        result = self.server.run("reload")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        eventually(lambda: self.numbers(self.cart()) == [number, number], "the new rule prices")

    def test_sighup_reloads(self):
        number = self.write_rules()
        self.server.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.numbers(self.cart()) == [number, number], "the new rule prices")

    def test_tenants_routes_go_live(self):
        for number in (1, 2):
            write(self.server.tenant_file("routes.lua"), ROUTES % number)
            self.reload()
            self.assertEqual(self.expect(200, "GET", "/edition").json, {"edition": number})

    def test_defaults_reach_those_who_have_no_file_of_their_own(self):
        other = self.cart(tenant="tokyo")["ruleEdition"]
        path = os.path.join(self.server.tenants, "_default", "checkout.lua")
        with open(path, encoding="utf-8") as source:
            old = source.read()
        self.addCleanup(self.reload)
        self.addCleanup(write, path, old)
        os.unlink(self.server.tenant_file("checkout.lua"))
        write(path, 'return function() return { { code = "closed", message = "closed today" } } end\n')
        self.reload()
        self.assertEqual([found["code"] for found in self.cart()["violations"]], ["closed"])
        self.assertEqual(self.cart(tenant="tokyo")["ruleEdition"], other)

    def refused(self, name, text, *words):
        """The rule is refused with these words, in the command, the log and check alike; the old one prices on."""
        before, log = self.cart(), len(self.server.log())
        path = self.server.tenant_file(name)
        with open(path, encoding="utf-8") as source:
            old = source.read()
        write(path, text)
        result = self.reload(code=1)
        self.assertIn("tenants/acme is refused", result.stderr)
        check = self.server.run("check", os.path.join(self.server.tenants, "acme"))
        self.assertEqual(check.returncode, 1)
        eventually(lambda: '"edition_refused"' in self.server.log()[log:], "the log says so")
        for place in (result.stderr, check.stdout, self.server.log()[log:]):
            for word in words:
                self.assertIn(word, place)
        self.assertEqual(self.cart(), before)
        write(path, old)
        self.reload()

    def test_rule_that_does_not_parse_is_refused(self):
        self.refused("pricing.lua", "return function(cart, ctx)\n  return {\nend\n", "acme/pricing.lua:3:")

    def test_rule_that_fails_on_a_sample_is_refused(self):
        self.refused("pricing.lua", "return function(cart, ctx)\n  return cart.nothing.there\nend\n",
                     "acme/pricing.lua:2:")

    def test_rule_with_a_bad_result_is_refused(self):
        self.refused("pricing.lua", 'return function() return { { line = 1, percent = "lots" } } end\n', "pricing.lua",
                     "lots")

    def test_rule_that_never_ends_is_refused(self):
        self.refused("tax.lua", "return function() while true do end end\n", "acme/tax.lua:1:")

    def test_handler_goes_live_by_itself(self):
        self.server.set_probe("second")
        eventually(lambda: self.call("GET", "/api/probe").json["text"] == "second", "the new handler answers")

    def test_request_in_flight_finishes_on_the_code_it_started_with(self):
        self.server.set_probe("before")
        self.reload()
        with open(self.server.probe_path, encoding="utf-8") as source:
            text = source.read()
        write(self.server.probe_path, text.replace("slept = true", 'slept = "old"'))
        self.reload()
        log = len(self.server.log())
        with Load(self.server.port, "/api/slow?ms=2000", clients=2, headers={"Host": "acme.localhost"},
                  judge=lambda body, _: self.assertEqual(json.loads(body), {"slept": "old"})) as load:
            eventually(lambda: self.server.log()[log:].count('"probe_waits"') >= 2, "both have begun")
            for client in load.all:
                client.stopping.set()
            write(self.server.probe_path, text.replace("slept = true", 'slept = "new"'))
            self.reload()
            self.assertEqual(self.expect(200, "GET", "/api/slow?ms=1").json, {"slept": "new"})
        self.assertEqual((load.faults, load.answers), ([], [1, 1]))

    def refused_scripts(self, text, *words):
        self.server.set_probe("good")
        self.reload()
        write(self.server.probe_path, text)
        result = self.reload(code=1)
        self.assertIn("scripts is refused", result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
            self.assertIn(word, self.server.log())
        for _ in range(6):
            self.assertEqual(self.expect(200, "GET", "/api/probe").json["text"], "good")
        self.server.set_probe("good again")
        self.reload()
        self.assertEqual(self.expect(200, "GET", "/api/probe").json["text"], "good again")

    def test_handler_that_does_not_parse_is_refused(self):
        self.refused_scripts("return {\n  get = function( end\n}\n", "api/probe.lua:2:")

    def test_handler_that_fails_while_it_loads_is_refused(self):
        self.refused_scripts('local x = nil\nreturn { get = x.y }\n', "api/probe.lua:2:")

    def test_handler_that_requires_what_is_not_there_is_refused(self):
        self.refused_scripts('return require "api.nowhere"\n', "api.nowhere")

    def test_scripts_without_main_are_refused(self):
        self.server.set_probe("kept")
        self.reload()
        path = os.path.join(self.server.scripts, "main.lua")
        os.rename(path, path + ".aside")
        self.assertIn("there is no main.lua", self.reload(code=1).stderr)
        self.assertEqual(self.expect(200, "GET", "/api/probe").json["text"], "kept")
        os.rename(path + ".aside", path)
        self.reload()

    def test_new_tenant_appears(self):
        target = os.path.join(self.server.folder, "lima")
        shutil.copytree(os.path.join(self.server.tenants, "acme"), target)
        path = os.path.join(target, "tenant.json")
        with open(path, encoding="utf-8") as source:
            document = json.load(source)
        for name in ("id", "customDomain"):
            document.pop(name, None)
        document.update(name="Lima", slug="lima", subdomain="lima")
        write(path, json.dumps(document))
        self.expect(404, "GET", "/api/cart", tenant="lima")
        os.rename(target, os.path.join(self.server.tenants, "lima"))
        eventually(lambda: self.call("GET", "/api/cart", tenant="lima").status == 200, "the new shop answers")

    def test_folder_that_vanishes_takes_no_rules_away(self):
        number = self.write_rules()
        self.reload()
        path, aside = os.path.join(self.server.tenants, "acme"), os.path.join(self.server.folder, "acme-aside")
        os.rename(path, aside)
        self.assertEqual(self.reload().returncode, 0)
        self.assertEqual(self.numbers(self.cart()), [number, number])
        os.rename(aside, path)
        self.reload()

    def test_worker_that_dies_comes_back_with_the_latest(self):
        number = self.write_rules()
        self.server.set_probe("latest")
        self.reload()
        ready = self.server.log().count('"worker_ready"')
        for pid in self.server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.server.log().count('"worker_ready"') >= ready + 2, "two new workers")
        self.assertEqual(self.expect(200, "GET", "/api/probe").json["text"], "latest")
        self.assertEqual(self.numbers(self.cart()), [number, number])

    def test_200_rules_under_load(self):
        editions = {}  # the numbers that the rules of each edition say
        live = Live.number  # the latest that a reload has said is live

        def judge(body, least):
            cart = json.loads(body)
            seen = self.numbers(cart)
            # Between the two files' saves there may be an edition of one new and one old file; it is whole too.
            if editions.setdefault(cart["ruleEdition"], seen) != seen:
                raise AssertionError(f"{seen} and {editions[cart['ruleEdition']]} by one edition")
            if min(seen) < least or max(seen) > Live.number:
                raise AssertionError(f"{seen} is not between {least} and {Live.number}")

        headers = {"Host": "acme.localhost", "X-Session-ID": SESSION}
        with Load(self.server.port, "/api/cart", headers=headers, judge=judge, before=lambda: live) as load:
            eventually(lambda: min(load.answers) > 0, "all clients are served")
            for _ in range(200):
                number = self.write_rules()
                self.reload()
                live = number
                self.assertEqual(self.numbers(self.cart()), [live, live])
        self.assertEqual(load.faults[:3], [])
        self.assertEqual(self.server.log().count('"worker_died"'), 0)
        self.assertGreater(len(editions), 10)

    def test_50_handlers_under_load(self):
        def judge(body, _):
            if not re.fullmatch(r"load \d+", json.loads(body)["text"]):
                raise AssertionError(body)

        self.server.set_probe("load 0")
        self.reload()
        with Load(self.server.port, "/api/probe", headers={"Host": "acme.localhost"}, judge=judge) as load:
            eventually(lambda: min(load.answers) > 0, "all clients are served")
            for number in range(1, 51):
                self.server.set_probe(f"load {number}")
                self.reload()
                self.assertEqual(self.expect(200, "GET", "/api/probe").json["text"], f"load {number}")
        self.assertEqual(load.faults[:3], [])


class Starts(unittest.TestCase):
    """Servers that start on folders which are not in order."""

    def make(self, **settings):
        server = ProbeServer(**settings)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        return server

    def test_broken_rule_leaves_the_last_good_edition(self):
        server = self.make()
        write(server.tenant_file("routes.lua"), ROUTES % 1)
        server.start()
        server.stop()
        write(server.tenant_file("routes.lua"), "return {")
        server.start()
        self.assertEqual(call(server.port, "GET", "/edition").json, {"edition": 1})
        self.assertIn('"event":"last_good_edition_serves","source":"tenants/acme"', server.log())
        self.assertIn("acme/routes.lua:1", server.log())

    def test_broken_scripts_do_not_start(self):
        server = self.make()
        write(server.probe_path, "return {\n  get = = 1\n}\n")
        result = server.run("serve")
        self.assertEqual(result.returncode, 1)
        self.assertIn("perigee: scripts/api/probe.lua:2:", result.stderr)

    def test_scripts_that_fail_while_they_load_do_not_start(self):
        server = self.make()
        write(server.probe_path, 'error("not today")\n')
        result = server.run("serve")
        self.assertEqual(result.returncode, 1)
        self.assertIn("api/probe.lua:1: not today", result.stderr)

    def test_missing_scripts_do_not_start(self):
        server = self.make()
        server.scripts = "/nowhere"
        result = server.run("serve")
        self.assertEqual(result.returncode, 1)
        self.assertIn("perigee: /nowhere:", result.stderr)

    def test_edits_behind_a_link_are_found(self):
        server = self.make()
        real = server.tenants
        server.tenants = os.path.join(server.folder, "current")
        os.symlink(real, server.tenants)
        server.start()
        eventually(lambda: '"event":"sweeping"' in server.log(), "it sweeps")
        write(os.path.join(real, "acme", "routes.lua"), ROUTES % 7)
        eventually(lambda: call(server.port, "GET", "/edition").status == 200, "the edit is found")


if __name__ == "__main__":
    main()
