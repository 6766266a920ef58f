#!/usr/bin/env python3
"""test_net.py: what every request gets whatever its route: ids, traces, methods, proxies, health, a log line."""
import json
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.probe import write  # noqa: E402
from lib.server import eventually  # noqa: E402

TRACE = "0af7651916cd43dd8448eb211c80319c"
BESIDE = """  routes = {
    ["GET /api/beside"] = function(req)
      local results = wait_all {
        function() return assert(rules.price(req.tenant, { items = {} })) end,
        function() sleep(1) end,
      }
      return { edition = results[1][1].ruleEdition }
    end,
"""
SECRETS = ("demo-owner-acme", "session-in-a-cookie-0001", "session-in-a-header-0001", "secret-in-the-query",
           "secret-in-the-body", "secret-in-the-agent")


def has_ipv6():
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
            return True
        except OSError:
            return False


class NetCase(Case):
    number = 0

    def asked(self, method, path, headers=None, **options):
        """The answer of a request with an id of its own, and its log line."""
        NetCase.number += 1
        request_id = f"test-{NetCase.number}"
        answer = self.call(method, path, headers={"X-Request-ID": request_id, **(headers or {})}, **options)
        return answer, self.line(request_id)

    def line(self, request_id):
        """The log line of a request; exactly one."""
        pattern = re.compile(rf'^.*"event":"request".*"requestId":"{request_id}".*$', re.M)
        found = eventually(lambda: pattern.findall(self.server.log()), "a log line of " + request_id)
        self.assertEqual(len(found), 1, found)
        return json.loads(found[0])

    def raw(self, text, host="127.0.0.1"):
        """Sends the bytes and reads until the server closes."""
        with socket.create_connection((host, self.server.port), timeout=60) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                return stream.read()


class Net(NetCase):
    settings = {"host": "127.0.0.1,::1"} if has_ipv6() else {}

    @classmethod
    def make_server(cls):
        server = super().make_server()
        path = os.path.join(server.scripts, "main.lua")
        with open(path, encoding="utf-8") as source:
            text = source.read()
        write(path, text.replace("  routes = {\n", BESIDE, 1))
        return server

    @classmethod
    def prepare(cls):
        body = {"name": "Rope", "sku": "ROPE", "price": "9.99", "stock": 9}
        cls.rope = cls.call("POST", "/api/products", json=body, key="owner").json

    def test_request_ids_come_back(self):
        for method, path, status in (("GET", "/api/products", 200), ("GET", "/no-such-page", 404),
                                     ("POST", "/api/products", 401), ("DELETE", "/api/cart/items", 405),
                                     ("OPTIONS", "/api/cart", 204), ("GET", "/api/products?colour=red", 400)):
            with self.subTest(path):
                answer = self.expect(status, method, path, headers={"X-Request-ID": "order.7-b_c"})
                self.assertEqual(answer.headers.get("X-Request-ID"), "order.7-b_c")
                if status >= 400:
                    self.assertEqual(answer.json["requestId"], "order.7-b_c")

    def test_a_bad_request_id_is_replaced(self):
        for bad in ("a b", "a\"b", "x" * 65, ""):
            made = self.expect(200, "GET", "/api/products", headers={"X-Request-ID": bad}).headers.get("X-Request-ID")
            self.assertRegex(made, r"^[0-9a-f]{32}$")

    def test_a_trace_is_taken_or_made(self):
        _, line = self.asked("GET", "/api/products", {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
        self.assertEqual(line["traceId"], TRACE)
        seen = set()
        for bad in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", f"00-{TRACE.upper()}-b7ad6b7169203331-01", TRACE, "x"):
            _, line = self.asked("GET", "/api/products", {"traceparent": bad})
            self.assertRegex(line["traceId"], r"^[0-9a-f]{32}$")
            seen.add(line["traceId"])
        self.assertEqual(len(seen), 4)
        self.assertNotIn(TRACE, seen)

    def test_methods(self):
        for path, allow in (("/api/products", {"GET", "HEAD", "POST", "OPTIONS"}),
                            ("/api/products/by-sku/x", {"GET", "HEAD", "OPTIONS"}),
                            ("/api/cart", {"GET", "HEAD", "DELETE", "OPTIONS"})):
            answer = self.expect(405, "PATCH", path)
            self.assertEqual(answer.json["code"], "method_not_allowed")
            self.assertLessEqual(allow - {"OPTIONS"}, set(answer.headers.get("Allow").split(", ")))
            options = self.expect(204, "OPTIONS", path)
            self.assertEqual(options.headers.get("Allow"), answer.headers.get("Allow"))
            self.assertEqual(options.body, b"")

    def test_head_is_get_without_a_body(self):
        path = "/api/products/" + self.rope["id"]
        answer, line = self.asked("HEAD", path)
        got = self.expect(200, "GET", path)
        self.assertEqual((answer.status, answer.body), (200, b""))
        for name in ("Content-Length", "Content-Type", "ETag"):
            self.assertEqual(answer.headers.get(name), got.headers.get(name), name)
        self.assertEqual((line["method"], line["route"]), ("HEAD", "/api/products/:id"))

    def test_an_unknown_parameter_is_named(self):
        for path in ("/api/products?colour=red", "/api/products/search?q=a&colour=red", "/api/cart?colour=1"):
            answer = self.expect(400, "GET", path)
            self.assertIn("colour", answer.text)

    def test_hosts(self):
        def status(host):
            return self.call("GET", "/api/products", tenant=None, headers={"Host": host}).status
        for host in ("acme.localhost", f"ACME.Localhost:{self.server.port}", "www.acme.example", "acme.example"):
            self.assertEqual(status(host), 200, host)
        for host in ("localhost", "nobody.localhost", "127.0.0.1", "[::1]", f"[::1]:{self.server.port}", "acme"):
            self.assertEqual(status(host), 404, host)
        answer = self.expect(404, "GET", "/api/products", tenant="nobody")
        self.assertEqual((answer.json["code"], answer.json["detail"]), ("not_found", "no shop answers at this host"))

    def test_the_tenant_header_counts_where_it_is_trusted(self):
        for name in ("acme", "01936b5c-7a00-7000-8000-00000000acfe"):
            _, line = self.asked("GET", "/api/products", {"X-Tenant-ID": name}, tenant="tokyo")
            self.assertEqual(line["tenant"], "acme")
        self.expect(404, "GET", "/api/products", headers={"X-Tenant-ID": "nobody"})

    def test_ipv6(self):
        if self.settings:
            answer = self.raw(f"GET /api/products HTTP/1.1\r\nHost: [::1]:{self.server.port}\r\nX-Tenant-ID: acme\r\n"
                              "X-Request-ID: over-ipv6\r\nConnection: close\r\n\r\n".encode(), "::1")
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
            self.assertEqual(self.line("over-ipv6")["client"], "::1")

    def test_paths_that_are_none(self):
        for path in ("/api/%zz", "/api/%00", "/api/products/%ff%fe", "/api/../healthz"):
            answer = self.call("GET", path)
            self.assertIn(answer.status, (400, 404), f"{path}: {answer}")
            self.assertEqual(answer.headers.get("Content-Type"), "application/problem+json")

    def test_a_large_body(self):
        one_mb = 1024 * 1024
        head = (f"POST /api/products HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: {one_mb + 1}\r\n"
                "Authorization: Bearer demo-owner-acme\r\nContent-Type: application/json\r\n\r\n")
        answer = self.raw(head.encode())
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertIn(b"application/problem+json", answer)
        body = json.dumps({"items": [{"name": "x" * (one_mb + 1)}]})
        result = self.expect(200, "POST", "/api/products/bulk", body=body, key="owner",
                             headers={"Content-Type": "application/json"}).json
        self.assertEqual(len(result["items"]), 1)
        self.expect(200, "GET", "/api/products")

    def test_health(self):
        for path, word in (("/healthz", "alive"), ("/readyz", "ready")):
            self.assertEqual(self.expect(200, "GET", path, tenant=None).json["status"], word)
            self.assertEqual(self.expect(405, "POST", path).headers.get("Allow"), "GET, HEAD")
            head = self.expect(200, "HEAD", path)
            self.assertEqual(head.body, b"")
        own = {"engine": "embedded", "up": True}
        roles = {role: own for role in ("documents", "cache", "search", "ledger")}
        self.assertEqual(self.expect(200, "GET", "/readyz").json["roles"], roles)

    def test_a_log_line_per_request(self):
        answer, line = self.asked("GET", "/api/products/by-sku/ROPE?fields=name")
        self.assertEqual(answer.status, 200)
        wanted = {"level": "info", "event": "request", "method": "GET", "status": 200, "tenant": "acme",
                  "route": "/api/products/by-sku/:sku", "client": "127.0.0.1"}
        self.assertEqual({name: line[name] for name in wanted}, wanted)
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertGreater(line["ms"], 0)
        self.assertGreater(line["storesMs"], 0)
        self.assertLessEqual(line["storesMs"], line["ms"])
        self.assertNotIn("ruleEdition", line)
        _, line = self.asked("GET", "/no-such-page")
        self.assertEqual((line["status"], line["tenant"], line.get("route")), (404, "acme", None))
        _, line = self.asked("GET", "/api/products", tenant="nobody")
        self.assertEqual((line["status"], line.get("tenant")), (404, None))
        self.asked("GET", "/tents")

    def test_a_priced_answer_names_its_edition(self):
        body = {"productId": self.rope["id"], "quantity": 1}
        for tenant_path in (("POST", "/api/cart/items"), ("GET", "/api/cart")):
            method, path = tenant_path
            answer, line = self.asked(method, path, json=body if method == "POST" else None,
                                      session="session-of-a-priced-cart")
            self.assertEqual(answer.status, 200)
            self.assertRegex(line["ruleEdition"], r"^[0-9a-f]{64}$")
            self.assertEqual(line["ruleEdition"], answer.json["ruleEdition"])

    def test_so_does_one_that_was_priced_beside_something_else(self):
        answer, line = self.asked("GET", "/api/beside")
        self.assertRegex(answer.json["edition"], r"^[0-9a-f]{64}$")
        self.assertEqual(line["ruleEdition"], answer.json["edition"])

    def test_no_secret_is_logged(self):
        headers = {"Cookie": "perigee_session=session-in-a-cookie-0001", "User-Agent": "secret-in-the-agent",
                   "X-Session-ID": "session-in-a-header-0001"}
        body = {"name": "secret-in-the-body", "price": "no price"}
        for method, path, options in (
                ("GET", "/api/cart?q=secret-in-the-query", {}), ("GET", "/api/cart", {}),
                ("POST", "/api/products", {"json": body}), ("POST", "/api/products", {"body": '{"secret-in-the-body'}),
                ("GET", "/no-such-page?secret-in-the-query", {}), ("GET", "/size-guide/x?a=secret-in-the-query", {}),
                ("PATCH", "/api/products/x", {"json": body})):
            self.asked(method, path, headers, key="owner", **options)
        self.raw(b"GET /api/cart HTTP/1.1\r\nAuthorization: Bearer demo-owner-acme\r\n\r\n")
        self.asked("GET", "/api/products")
        log = self.server.log()
        for secret in SECRETS:
            self.assertNotIn(secret, log)


class Proxied(NetCase):
    settings = {"trusted_proxies": "127.0.0.0/8, 10.0.0.0/8"}

    def test_the_client_is_the_last_address_that_is_no_proxy(self):
        for headers, client in (
                ({}, "127.0.0.1"),
                ({"X-Forwarded-For": "198.51.100.7"}, "198.51.100.7"),
                ({"X-Forwarded-For": "6.6.6.6, 198.51.100.7, 10.1.2.3"}, "198.51.100.7"),
                ({"X-Forwarded-For": "2001:db8::1"}, "2001:db8::1"),
                ({"X-Forwarded-For": "nonsense"}, "127.0.0.1"),
                ({"Forwarded": 'for=6.6.6.6, for="[2001:db8::1]:4711";proto=https'}, "2001:db8::1"),
                ({"Forwarded": "for=198.51.100.9", "X-Forwarded-For": "6.6.6.6"}, "198.51.100.9")):
            with self.subTest(str(headers)):
                _, line = self.asked("GET", "/api/products", headers)
                self.assertEqual(line["client"], client)


class Unproxied(NetCase):
    settings = {"trust_tenant_header": "false", "demo_keys": "false"}

    def test_nothing_is_believed_from_anybody(self):
        _, line = self.asked("GET", "/api/products", {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6",
                                                      "X-Tenant-ID": "tokyo"})
        self.assertEqual((line["client"], line["tenant"]), ("127.0.0.1", "acme"))
        self.expect(401, "POST", "/api/products", json={}, key="owner")

    def test_a_target_that_is_not_encoded(self):
        answer = self.raw("GET /api/products/suggest?q=\u8336 HTTP/1.1\r\nHost: acme.localhost\r\n\r\n".encode())
        self.assertIn(b"percent-encoded", answer)


class NothingBehind(NetCase):
    """Redis and PostgreSQL are away, and the names that they go by are nobody's business outside."""

    settings = {"redis_url": "redis://shopkeeper:word@127.0.0.1:1/",
                "postgres_url": "postgres://bookkeeper:word@127.0.0.1:1/books"}

    def test_ready_says_what_is_away(self):
        roles = self.expect(200, "GET", "/readyz", tenant=None).json["roles"]
        self.assertEqual(roles["cache"], {"engine": "redis", "up": False})
        self.assertEqual(roles["ledger"], {"engine": "postgres", "up": False})
        self.assertEqual(roles["documents"], {"engine": "embedded", "up": True})

    def test_the_reason_is_in_the_log_alone(self):
        for path in ("/api/cart", "/api/audit"):
            answer, line = self.asked("GET", path, key="owner")
            self.assertEqual((answer.status, answer.json["code"]), (503, "unavailable"), answer)
            self.assertIsNotNone(answer.headers.get("Retry-After"))
            for name in ("127.0.0.1", "keeper", "books"):
                self.assertNotIn(name, answer.text)
            failed = [json.loads(one) for one in self.server.log().splitlines()
                      if '"store_failed"' in one and line["requestId"] in one]
            self.assertIn("127.0.0.1", failed[0]["error"])


if __name__ == "__main__":
    main()
