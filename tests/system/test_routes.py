#!/usr/bin/env python3
"""test_routes.py: a tenant's own pages: what shop gives them, what it refuses, and what a page may answer."""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, call, main  # noqa: E402
from lib.server import eventually  # noqa: E402

ROUTES = r"""-- routes.lua: the pages that test_routes.py asks for.
local function ask(f)
  return function(req, shop)
    local value, text, name = f(req, shop)
    return { asked = true, value = value, text = text, name = name }
  end
end

return {
  ["GET /size-guide/:brand"] = function(req, shop)
    local found = shop.products.search { attributes = { brand = req.params.brand }, size = 20 }
    local sizes = {}
    for i, product in ipairs(found.items) do sizes[i] = product.attributes.size end
    return { brand = req.params.brand, sizes = sizes }
  end,

  ["GET /get/:id"] = ask(function(req, shop) return shop.products.get(req.params.id) end),
  ["GET /sku/:sku"] = ask(function(req, shop) return shop.products.by_sku(req.params.sku) end),
  ["POST /find"] = ask(function(req, shop) return shop.products.find(req.json) end),
  ["POST /search"] = ask(function(req, shop) return shop.products.search(req.json) end),
  ["GET /cart"] = ask(function(_, shop) return shop.cart.get("session-of-another-one", { id = "tokyo" }) end),
  ["GET /config"] = ask(function(_, shop) return shop.config() end),
  ["GET /orders"] = ask(function(_, shop) return shop.orders.mine() end),
  ["PUT /cached/:key"] = ask(function(req, shop) return shop.cache.set(req.params.key, req.json.text, 60) end),
  ["GET /cached/:key"] = ask(function(req, shop) return shop.cache.get(req.params.key) end),
  ["PUT /too-large"] = ask(function(_, shop) return shop.cache.set("large", ("x"):rep(65537)) end),

  ["GET /all/:sku"] = function(req, shop)
    local results = shop.all {
      function() return shop.products.by_sku(req.params.sku).name end,
      function() return shop.config().slug end,
      function() error "on purpose" end,
    }
    return { results[1][1], results[2][1], results[3].error, results[3].ok }
  end,

  ["GET /calls/:count"] = function(req, shop)
    local name
    for i = 1, tonumber(req.params.count) do
      local _, _, failed = shop.cache.get("k")
      name = name or (failed and i .. ":" .. failed)
    end
    return { asked = true, refused = name }
  end,

  ["GET /request/:a"] = function(req)
    return { method = req.method, path = req.path, params = req.params, query = req.query, headers = req.headers,
      session = req.session }
  end,
  ["POST /echo"] = function(req) return { asked = true, got = req.json } end,

  ["GET /answer"] = function(_, shop)
    return shop.answer { status = 203, headers = { ["x-shop"] = "acme", ["content-type"] = "text/csv" }, body = "a,b" }
  end,
  ["GET /text"] = function() return "plain" end,
  ["GET /nothing"] = function() end,
  ["GET /redirect"] = function(_, shop) return shop.redirect "/text?a=1" end,
  ["POST /answer"] = function(req, shop) return shop.answer(req.json) end,
  ["GET /number"] = function() return 404 end,
  ["GET /boolean"] = function() return true end,
  ["GET /function"] = function() return { f = tostring } end,

  ["GET /broken"] = function() local nothing; return nothing.field end,
  ["GET /raised"] = function() error({ status = 200, __answer = true, body = "mine" }) end,
  ["GET /endless"] = function() while true do end end,
  ["GET /held"] = function(_, shop) return shop.config() end,
}
"""

# Waits a while inside shop.config and tells how many were inside at once; for GET /held alone.
HOLD = """
local config, inside, most = shop["config"], 0, 0
shop["config"] = function(tenant, session)
  if session ~= "session-that-is-held" then return config(tenant) end
  inside = inside + 1
  most = math.max(most, inside)
  sleep(700)
  inside = inside - 1
  return { most = most }
end

return shop
"""


class Routes(Case):
    @classmethod
    def make_server(cls):
        server = super().make_server()
        with open(os.path.join(server.tenants, "acme", "routes.lua"), "w", encoding="utf-8") as target:
            target.write(ROUTES)
        path = os.path.join(server.scripts, "shop", "tenant_shop.lua")
        with open(path, encoding="utf-8") as source:
            text = source.read()
        assert text.endswith("\nreturn shop\n")
        with open(path, "w", encoding="utf-8") as target:
            target.write(text[:-len("\nreturn shop\n")] + HOLD)
        return server

    @classmethod
    def prepare(cls):
        cls.boots = [cls.sell(size, status="active") for size in ("41", "42")]
        cls.sell("43", status="draft")
        cls.sell("44", tenant="tokyo", price="3000")
        eventually(lambda: len(cls.call("GET", "/size-guide/Tarn").json["sizes"]) == 2, "the boots are indexed")

    @classmethod
    def sell(cls, size, tenant="acme", price="99.95", **fields):
        body = {"name": "Boot " + size, "sku": "BOOT-" + size, "price": price, "stock": 5, "category": ["Boots"],
                "attributes": {"brand": "Tarn", "size": size}, **fields}
        answer = cls.call("POST", "/api/products", json=body, key="owner", tenant=tenant)
        assert answer.status == 201, f"{answer} {cls.server.log()[-2000:]}"
        return answer.json

    def value(self, method, path, **options):
        """What the page's call of shop gave: value, text, name."""
        body = self.expect(200, method, path, **options).json
        return body.get("value"), body.get("text"), body.get("name")

    def test_the_size_guide(self):
        guide = self.expect(200, "GET", "/size-guide/Tarn").json
        self.assertEqual((guide["brand"], sorted(guide["sizes"])), ("Tarn", ["41", "42"]))
        self.assertEqual(self.expect(200, "GET", "/size-guide/Nobody").json["sizes"], [])
        self.expect(404, "GET", "/size-guide/Tarn", tenant="tokyo")

    def test_products(self):
        product, _, _ = self.value("GET", "/get/" + self.boots[0]["id"])
        self.assertEqual((product["sku"], product["price"], product["attributes"]["size"]), ("BOOT-41", 9995, "41"))
        self.assertEqual(self.value("GET", "/sku/BOOT-42")[0]["id"], self.boots[1]["id"])
        self.assertEqual(self.value("GET", "/sku/BOOT-44"), (None, None, None))
        self.assertEqual(self.value("GET", "/get/no-such-product"), (None, None, None))

    def test_find_and_search(self):
        found, _, _ = self.value("POST", "/find", json={"category": "Boots"})
        self.assertEqual(sorted(item["sku"] for item in found["items"]), ["BOOT-41", "BOOT-42"])
        found, _, _ = self.value("POST", "/find", json={"ids": [self.boots[1]["id"]]})
        self.assertEqual([item["sku"] for item in found["items"]], ["BOOT-42"])
        found, _, _ = self.value("POST", "/search", json={"q": "boot", "size": 1})
        self.assertEqual((len(found["items"]), found["total"]), (1, 2))

    def test_a_call_that_cannot_be_done_says_why(self):
        _, text, name = self.value("POST", "/find", json={"description": "x"})
        self.assertEqual(name, "invalid")
        self.assertIn("cannot filter by description", text)
        _, text, name = self.value("POST", "/search", json={"size": 1000})
        self.assertEqual(name, "invalid")
        self.assertIn("size", text)
        _, text, name = self.value("PUT", "/too-large")
        self.assertEqual(name, "invalid")
        self.assertIn("65536", text)

    def test_only_the_own_cart(self):
        self.assertEqual(self.value("GET", "/cart"), (None, None, None))
        for session, quantity in (("session-of-this-one", 2), ("session-of-another-one", 3)):
            body = {"productId": self.boots[0]["id"], "quantity": quantity}
            self.expect(200, "POST", "/api/cart/items", json=body, session=session)
        cart, _, _ = self.value("GET", "/cart", session="session-of-this-one")
        self.assertEqual([(item["sku"], item["quantity"], item["subtotal"]) for item in cart["items"]],
                         [("BOOT-41", 2, 19990)])

    def test_config_and_orders(self):
        self.assertEqual(self.value("GET", "/config")[0]["slug"], "acme")
        self.assertEqual(self.value("GET", "/orders")[0], {"items": []})

    def test_the_cache_is_the_shops_own(self):
        self.assertEqual(self.value("GET", "/cached/greeting"), (None, None, None))
        self.value("PUT", "/cached/greeting", json={"text": "hello"})
        self.assertEqual(self.value("GET", "/cached/greeting")[0], "hello")
        self.assertEqual(self.value("GET", "/cached/config"), (None, None, None))

    def test_all_runs_side_by_side(self):
        name, shop, error, good = self.expect(200, "GET", "/all/BOOT-41").json
        self.assertEqual((name, shop, good), ("Boot 41", "acme", False))
        self.assertIn("on purpose", error)

    def test_the_twenty_first_call_is_refused(self):
        self.assertEqual(self.expect(200, "GET", "/calls/20").json, {"asked": True})
        answer = self.call("GET", "/calls/21")
        self.assertEqual(answer.status, 500, answer)
        self.assertRegex(self.server.log(), r'"tenant_route_failed","tenant":"acme".*"line":\d+.*'
                         r'at most 20 calls of shop in one request \(shop\.cache\.get\)')

    def test_what_a_page_sees_of_the_request(self):
        seen = self.expect(200, "GET", "/request/b%20c?q=1&r=x%2Fy&r=2", key="owner", headers={
            "Accept-Language": "de", "Cookie": "perigee_session=secret-of-the-visitor", "X-Other": "no"}).json
        self.assertEqual((seen["method"], seen["params"], seen["query"]),
                         ("GET", {"a": "b c"}, {"q": "1", "r": ["x/y", "2"]}))
        self.assertEqual(seen["headers"], {"accept-language": "de"})
        self.assertEqual(seen["session"], {"customer": {"group": "guest"}})
        self.assertEqual(self.expect(200, "POST", "/echo", json={"a": [1, {"b": []}]}).json["got"],
                         {"a": [1, {"b": []}]})
        self.assertEqual(self.expect(200, "POST", "/echo", body="{").json, {"asked": True})

    def test_answers(self):
        answer = self.expect(203, "GET", "/answer")
        self.assertEqual((answer.text, answer.headers.get("X-Shop"), answer.headers.get("Content-Type")),
                         ("a,b", "acme", "text/csv"))
        self.assertTrue(answer.headers.get("X-Request-ID"))
        answer = self.expect(200, "GET", "/text")
        self.assertEqual((answer.text, answer.headers.get("Content-Type")), ("plain", "text/plain; charset=utf-8"))
        self.assertEqual(self.expect(204, "GET", "/nothing").body, b"")
        self.assertEqual(self.expect(302, "GET", "/redirect").headers.get("Location"), "/text?a=1")
        self.assertEqual(self.expect(201, "POST", "/answer", json={"status": 201, "body": {"a": 1}}).json, {"a": 1})

    def plain_500(self, answer):
        self.assertEqual(answer.status, 500, answer)
        self.assertEqual(answer.headers.get("Content-Type"), "application/problem+json")
        problem = answer.json
        self.assertEqual(set(problem), {"type", "title", "status", "code", "detail", "requestId"})
        self.assertEqual(problem["detail"], "the shop's own code for this page failed")
        return problem["requestId"]

    def test_headers_of_the_platform_are_refused(self):
        for name, text in (("Set-Cookie", "perigee_session=x"), ("Content-Length", "3"),
                           ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("X-Request-ID", "x"),
                           ("X-Split", "a\r\nSet-Cookie: b=c"), ("a: b", "c")):
            with self.subTest(name):
                answer = self.call("POST", "/answer", json={"headers": {name: text}, "body": "b"})
                self.plain_500(answer)
                self.assertIsNone(answer.headers.get("Set-Cookie"))
                eventually(lambda name=name: f"the header {name} " in self.server.log(), "the header is named")
        for status in (99, 101, 600, 200.5, "200"):
            with self.subTest(status):
                self.plain_500(self.call("POST", "/answer", json={"status": status}))

    def test_an_error_is_a_500_without_detail(self):
        for path, code, place in (("/broken", "rule_error", r'"routes.lua","line":\d\d'),
                                  ("/raised", "rule_error", '""'),
                                  ("/endless", "budget", r'"routes.lua","line":\d\d'),
                                  ("/function", "bad_result", '"routes.lua"'),
                                  ("/number", "bad_result", '"routes.lua"'),
                                  ("/boolean", "bad_result", '"routes.lua"')):
            with self.subTest(path):
                request_id = self.plain_500(self.call("GET", path))
                line = re.search(rf'.*"tenant_route_failed".*"{request_id}".*', self.server.log()).group(0)
                self.assertRegex(line, rf'"code":"{code}\w*","at":{place}')

    def test_paths_of_the_platform_cannot_be_taken(self):
        for path in ("/api/mine", "/api", "/admin/x", "/docs", "/healthz", "/metrics", "/webhooks/a", "/openapi.json"):
            with self.subTest(path):
                folder = os.path.join(self.server.tenants, "tokyo")
                with open(os.path.join(folder, "routes.lua"), "w", encoding="utf-8") as target:
                    target.write('return { ["GET %s"] = function() return "mine" end }' % path)
                checked = self.server.run("check", folder)
                self.assertEqual(checked.returncode, 1, checked)
                self.assertRegex(checked.stdout + checked.stderr, re.escape(path) + '".*belongs to the')

    def test_other_methods(self):
        answer = self.expect(405, "POST", "/text")
        self.assertLessEqual({"GET", "HEAD"}, set(answer.headers.get("Allow").split(", ")))
        answer = self.call("HEAD", "/text")
        self.assertEqual((answer.status, answer.headers.get("Content-Length"), answer.body), (200, "5", b""))
        self.assertIn("POST", self.expect(204, "OPTIONS", "/answer").headers.get("Allow"))
        self.expect(404, "GET", "/no-such-page")

    def burst(self, count):
        """Asks for GET /held on so many connections before it reads an answer; the statuses and bodies."""
        text = ("GET /held HTTP/1.1\r\nHost: acme.localhost\r\nX-Session-ID: session-that-is-held\r\n"
                "Connection: close\r\n\r\n")
        sockets = [socket.create_connection(("127.0.0.1", self.server.port), timeout=60) for _ in range(count)]
        for each in sockets:
            each.sendall(text.encode())
        answers = []
        for each in sockets:
            with each, each.makefile("rb") as stream:
                answers.append(stream.read())
        return answers

    def test_at_most_thirty_two_at_once(self):
        def refused():
            answers = self.burst(40)
            statuses = {answer[9:12] for answer in answers}
            self.assertLessEqual(statuses, {b"200", b"503"}, answers)
            for answer in answers:
                if answer[9:12] == b"503":
                    self.assertIn(b"\r\nRetry-After: 1\r\n", answer)
                else:
                    self.assertLessEqual(int(re.search(rb'"most":(\d+)', answer).group(1)), 32)
            return b"503" in statuses
        eventually(refused, "a request beyond the 32 is refused")
        self.assertEqual(self.expect(200, "GET", "/text").text, "plain")

    def test_other_shops_are_served_meanwhile(self):
        self.assertEqual(call(self.server.port, "GET", "/api/cart", tenant="tokyo").status, 200)


if __name__ == "__main__":
    main()
