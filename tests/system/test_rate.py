#!/usr/bin/env python3
"""test_rate.py: rate limits and sessions at the gate: exact over two servers, per tenant, told; on both engines.

The windows are a day long, so that no bucket gets a request back while a slow machine runs a test.
"""
import concurrent.futures
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import engines  # noqa: E402
from lib.case import Case, call, main  # noqa: E402
from lib.probe import add_routes, write  # noqa: E402
from lib.server import Server  # noqa: E402

CLIENTS = 64
MONTH_S = 30 * 24 * 3600
HANDLERS = """-- gate_probe.lua: handlers for the tests of the gate.
local stores = require "stores"
local probe = {}
function probe.get(req)
  log.warn("probe_entered", { path = req.path, tenant = req.tenant.slug }) -- at once in the log
  return { data = req.session_data or json.null, name = req.tenant.name, id = req.tenant.id }
end
function probe.put_session(req)
  return { stored = stores.cache.session_set(req.tenant.id, req.session, req.body) }
end
function probe.put_config(req)
  return { stored = stores.cache.set(req.tenant.id, "config", req.body, 3600) }
end
return probe
"""
ROUTES = """    ["GET /api/exact"] = { run = require("api.gate_probe").get, rate = "20/1d" },
    ["GET /api/apart"] = { run = require("api.gate_probe").get, rate = "2/1d" },
    ["GET /api/told/:id"] = { run = require("api.gate_probe").get, rate = "3/1d" },
    ["GET /api/burst"] = { run = require("api.gate_probe").get, rate = "24/1d burst 2" },
    ["GET /api/methods"] = { run = require("api.gate_probe").get, rate = "2/1d" },
    ["POST /api/methods"] = { run = require("api.gate_probe").get, rate = "1/1d" },
    ["GET /api/shared"] = { run = require("api.gate_probe").get, rate = "2/1d" },
    ["POST /api/shared"] = { run = require("api.gate_probe").get, rate = "2/1d" },
    ["GET /api/owners"] = { run = require("api.gate_probe").get, rate = "2/1d", role = "owner" },
    ["GET /api/overridden"] = { run = require("api.gate_probe").get, rate = "9/1d" },
    ["GET /api/default"] = require("api.gate_probe").get,
    ["GET /api/unlimited"] = { run = require("api.gate_probe").get, rate = "off" },
    ["GET /api/session"] = { run = require("api.gate_probe").get, rate = "off", session = true },
    ["GET /api/insists"] = { run = require("api.gate_probe").get, rate = "off", session = "required" },
    ["GET /api/settings"] = { run = require("api.gate_probe").get, rate = "9/1d" },
    ["PUT /api/session"] = { run = require("api.gate_probe").put_session, rate = "off" },
    ["PUT /api/config"] = { run = require("api.gate_probe").put_config, rate = "off" },
"""


class GateServer(Server):
    """With routes of its own, and a tenant that sets limits of its own."""

    def __init__(self, **settings):
        super().__init__(**settings)
        write(os.path.join(self.scripts, "api", "gate_probe.lua"), HANDLERS)
        add_routes(self, ROUTES)
        path = os.path.join(self.tenants, "acme", "tenant.json")
        with open(path, encoding="utf-8") as source:
            document = json.load(source)
        document["settings"]["rateLimits"] = {"/api/overridden": "1/1d", "GET /size-guide": "1/1d"}
        write(path, json.dumps(document))
        with open(os.path.join(self.tenants, "acme", "routes.lua"), "w", encoding="utf-8") as out:
            out.write('return { ["GET /size-guide"] = function() return { guide = true } end }\n')


class Rates:
    """What holds on either engine. The second server has the same folders."""

    extra = {}

    @classmethod
    def make_server(cls):
        return GateServer(rate_limit="4/1d", **cls.extra)

    @classmethod
    def prepare(cls):
        first = cls.server
        folders = {"scripts": first.scripts, "tenants": first.tenants, "data": first.data}
        cls.second = Server(rate_limit="4/1d", **folders, **cls.extra)
        cls.second.start()

    @classmethod
    def tearDownClass(cls):
        try:
            code = cls.second.stop()
            if code != 0 or "AddressSanitizer" in cls.second.log():
                raise AssertionError(f"the second server ended with {code}:\n{cls.second.log()[-6000:]}")
        finally:
            cls.second.remove()
            super().tearDownClass()

    def statuses(self, count, path, method="GET", **options):
        return [self.call(method, path, **options).status for _ in range(count)]

    def entered(self, path):
        logs = self.server.log() + self.second.log()
        return sum(f'"path":"{path}"' in line for line in logs.splitlines() if "probe_entered" in line)

    def test_exact_under_64_clients_on_two_servers(self):
        ports = (self.server.port, self.second.port)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            jobs = [pool.submit(call, ports[i % 2], "GET", "/api/exact") for i in range(4 * CLIENTS)]
            got = [job.result().status for job in jobs]
        self.assertEqual((got.count(200), got.count(429)), (20, 4 * CLIENTS - 20))
        self.assertEqual(self.entered("/api/exact"), 20)

    def test_a_tenant_does_not_take_from_another(self):
        self.assertEqual(self.statuses(3, "/api/apart"), [200, 200, 429])
        self.assertEqual(self.statuses(3, "/api/apart", tenant="tokyo"), [200, 200, 429])

    def test_what_a_client_is_told(self):
        left = []
        for number in range(3):
            answer = self.expect(200, "GET", f"/api/told/{number}")
            self.assertEqual(answer.headers.get("RateLimit-Policy"), '"default";q=3;w=86400')
            left.append(re.fullmatch(r'"default";r=(\d+);t=\d+', answer.headers.get("RateLimit")).group(1))
            self.assertIsNone(answer.headers.get("Retry-After"))
        self.assertEqual(left, ["2", "1", "0"])
        answer = self.expect(429, "GET", "/api/told/another")
        self.assertEqual(answer.headers.get("Content-Type"), "application/problem+json")
        self.assertEqual((answer.json["status"], answer.json["code"]), (429, "too_many_requests"))
        self.assertEqual(answer.json["requestId"], answer.headers.get("X-Request-ID"))
        seconds = int(answer.headers.get("Retry-After"))
        self.assertTrue(0 < seconds <= 28800, seconds)
        self.assertEqual(answer.headers.get("RateLimit"), f'"default";r=0;t={seconds}')

    def test_a_burst_is_a_policy_of_its_own(self):
        answer = self.expect(200, "GET", "/api/burst")
        self.assertEqual(answer.headers.get("RateLimit-Policy"), '"default";q=24;w=86400, "burst";q=2;w=7200')
        self.assertRegex(answer.headers.get("RateLimit"), r'^"burst";r=1;t=\d+$')
        self.assertEqual(self.statuses(2, "/api/burst"), [200, 429])

    def test_methods_share_a_bucket_unless_their_rates_differ(self):
        self.assertEqual(self.statuses(3, "/api/methods"), [200, 200, 429])
        self.assertEqual(self.statuses(2, "/api/methods", "POST"), [200, 429])
        self.assertEqual(self.statuses(1, "/api/shared") + self.statuses(2, "/api/shared", "POST"), [200, 200, 429])
        self.assertEqual(self.statuses(1, "/api/shared", "HEAD"), [429])

    def test_who_may_not_use_a_route_takes_nothing(self):
        for _ in range(5):
            answer = self.expect(401, "GET", "/api/owners")
        self.assertEqual(answer.headers.get("RateLimit-Policy"), '"default";q=2;w=86400')
        self.assertEqual(self.statuses(3, "/api/owners", key="owner"), [200, 200, 429])

    def test_the_tenant_says_otherwise(self):
        self.assertEqual(self.statuses(2, "/api/overridden"), [200, 429])
        self.assertEqual(self.statuses(2, "/api/overridden", tenant="tokyo"), [200, 200])

    def test_a_tenants_own_route(self):
        self.assertEqual(self.statuses(2, "/size-guide"), [200, 429])

    def test_the_default_and_no_limit(self):
        self.assertEqual(self.statuses(5, "/api/default"), [200] * 4 + [429])
        self.assertEqual(self.statuses(9, "/api/unlimited"), [200] * 9)
        self.assertIsNone(self.call("GET", "/api/unlimited").headers.get("RateLimit-Policy"))

    def test_the_session_comes_along(self):
        session = "a-session-of-the-gate"
        self.assertIsNone(self.expect(200, "GET", "/api/session", session=session).json["data"])
        before = self.entered("/api/insists")
        self.expect(401, "GET", "/api/insists")
        self.expect(401, "GET", "/api/insists", session=session)
        self.assertEqual(self.entered("/api/insists"), before)
        self.expect(200, "PUT", "/api/session", body='{"userId":"user-1","role":"admin"}', session=session)
        for path in ("/api/session", "/api/insists"):
            data = self.expect(200, "GET", path, session=session).json["data"]
            self.assertEqual(data, {"userId": "user-1", "role": "admin"})
        self.assertIsNone(self.expect(200, "GET", "/api/session", session="another-session-1").json["data"])
        self.expect(401, "GET", "/api/insists", session=session, tenant="tokyo")

    def test_newer_settings_count_at_once(self):
        known = self.expect(200, "GET", "/api/settings", tenant="tokyo").json
        with open(os.path.join(self.server.tenants, "tokyo", "tenant.json"), encoding="utf-8") as source:
            document = json.load(source)
        document.update(id=known["id"], slug="tokyo", subdomain="tokyo", name="Newer", version=1000)
        self.expect(200, "PUT", "/api/config", body=json.dumps(dict(document, version=0)), tenant="tokyo")
        self.assertEqual(self.expect(200, "GET", "/api/settings", tenant="tokyo").json["name"], known["name"])
        self.expect(200, "PUT", "/api/config", body=json.dumps(document), tenant="tokyo")
        self.assertEqual(self.expect(200, "GET", "/api/settings", tenant="tokyo").json["name"], "Newer")
        self.expect(200, "PUT", "/api/config", body=json.dumps(dict(document, id="someone-else", version=2000)),
                    tenant="tokyo")
        self.assertEqual(self.expect(200, "GET", "/api/settings", tenant="tokyo").json["name"], "Newer")
        self.expect(200, "PUT", "/api/config", body=json.dumps(document), tenant="tokyo")


class Embedded(Rates, Case):
    """Two servers on one folder."""


class OnEngine(Rates):
    """Two servers and one Redis, whatever it consists of."""

    @classmethod
    def make_server(cls):
        cls.redis = cls.start_engine()
        cls.extra = {"redis_url": cls.redis.url}
        return super().make_server()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.redis.close()

    def test_the_keys_are_the_documents_and_expire(self):
        tenant = self.expect(200, "GET", "/api/told/key", tenant="tokyo").json["id"]
        key = f"ratelimit:{tenant}:/api/told/:id"
        with self.holder(key).client() as client:
            left = client.call("PTTL", key)
            self.assertTrue(0 < left <= 28800000, left)
            self.assertEqual(client.call("TYPE", key), b"string")
            self.assertEqual(client.call("DEL", key), 1)

    def test_a_session_is_the_documents_and_lasts_30_days(self):
        session, text = "a-session-of-30-days", '{"userId":"user-1","role":"admin"}'
        tenant = self.expect(200, "GET", "/api/unlimited", tenant="tokyo").json["id"]
        self.expect(200, "PUT", "/api/session", body=text, session=session, tenant="tokyo")
        key = f"session:{tenant}:{session}"
        with self.holder(key).client() as client:
            self.assertEqual((client.call("TYPE", key), client.call("GET", key)), (b"string", text.encode()))
            left = client.call("TTL", key)
        self.assertTrue(MONTH_S - 3600 < left <= MONTH_S, left)

    def test_servers_that_forget_their_scripts(self):
        self.expect(200, "GET", "/api/default", tenant="tokyo")
        for node in self.masters():
            node.call("SCRIPT", "FLUSH")
        self.expect(200, "GET", "/api/default", tenant="tokyo")


class OnRedis(OnEngine, Case):
    @classmethod
    def start_engine(cls):
        return engines.Single()

    def holder(self, _key):
        return self.redis.node

    def masters(self):
        return [self.redis.node]


class OnCluster(OnEngine, Case):
    """Settings, session and bucket of a request are on different servers."""

    @classmethod
    def start_engine(cls):
        return engines.Cluster()

    def holder(self, key):
        return self.redis.owner(key)

    def masters(self):
        return self.redis.masters()

    def test_each_key_is_asked_for_where_it_is(self):
        """The keys of one shop and one session lie on more than one master, and no command goes astray."""
        sessions = [f"a-session-of-the-cluster-{n}" for n in range(64)]
        self.expect(200, "GET", "/api/session", session=sessions[0])
        for node in self.masters():
            node.call("CONFIG", "RESETSTAT")
        for session in sessions:
            self.expect(200, "PUT", "/api/session", body='{"userId":"user-1","role":"admin"}', session=session)
            data = self.expect(200, "GET", "/api/insists", session=session).json["data"]
            self.assertEqual(data["userId"], "user-1")
        for node in self.masters():
            with node.client() as client:
                self.assertNotIn("errorstat_MOVED", client.info("errorstats"))
                self.assertIn("cmdstat_get", client.info("commandstats"))


class WithoutStore(Case):
    """No Redis answers: limited routes are open or closed as declared; what needs no Redis is not touched."""

    declared, status = "open", 200

    @classmethod
    def make_server(cls):
        cls.redis = engines.Single()
        return GateServer(redis_url=cls.redis.url, rate_limit_without_store=cls.declared)

    @classmethod
    def prepare(cls):
        assert cls.call("GET", "/api/exact").status == 200  # the shop is known
        cls.redis.close()

    def test_a_limited_route(self):
        answer = self.expect(self.status, "GET", "/api/exact")
        self.assertEqual(answer.headers.get("RateLimit-Policy"), '"default";q=20;w=86400')
        self.assertIsNone(answer.headers.get("RateLimit"))
        if self.status == 503:
            self.assertEqual(answer.json["code"], "unavailable")
            self.assertTrue(int(answer.headers.get("Retry-After")) > 0)

    def test_another_route(self):
        self.expect(200, "GET", "/api/unlimited")

    def test_a_route_that_insists_on_a_session(self):
        answer = self.expect(503, "GET", "/api/insists", session="a-session-of-the-gate")
        self.assertTrue(int(answer.headers.get("Retry-After")) > 0)


class WithoutStoreClosed(WithoutStore):
    declared, status = "closed", 503


if engines.embedded_only():
    del OnRedis, OnCluster, WithoutStore, WithoutStoreClosed

if __name__ == "__main__":
    main()
