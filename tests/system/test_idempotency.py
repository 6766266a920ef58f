#!/usr/bin/env python3
"""test_idempotency.py: one key, one run, one answer: many callers, two servers, clients that leave, and kill -9."""
import concurrent.futures
import http.client
import json
import os
import signal
import sys
import threading
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import call, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.probe import add_handlers  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import STOP_S, Server, eventually  # noqa: E402 pylint: disable=wrong-import-position

# Handlers whose beginning is counted and whose end a test decides about, in every server at once.
HANDLERS = """
local answer = require "lib.answer"
local idempotent = require "lib.idempotent"
local problem = require "lib.problem"
local stores = require "stores"

local function begin(req)
  return problem.check(stores.cache.bump(req.tenant.id, "test:" .. req.json.name))
end

local function await(req, what)
  while problem.check(stores.cache.generation(req.tenant.id, "test:" .. req.json.name .. ":" .. what)) == 0 do
    problem.check(sleep(20))
  end
end

return {
  ["POST /api/test/wait"] = { idempotent = true, run = function(req)
    local run = begin(req)
    await(req, "go")
    return answer.json(201, { run = run }, { Location = "/api/test/" .. run })
  end },
  ["POST /api/test/fail"] = { idempotent = true, run = function(req)
    local run = begin(req)
    if run == 1 then problem.raise { status = 503, code = "unavailable", detail = "not now" } end
    if run == 2 then error "a fault" end
    if run == 3 then problem.too_often "thing" end
    return { run = run }
  end },
  ["POST /api/test/needs"] = { idempotent = "required", run = function() return { ok = true } end },
  ["POST /api/test/owner"] = { idempotent = true, role = "owner", run = function(req)
    return { run = begin(req) }
  end },
  ["POST /api/test/together"] = { idempotent = true, run = function(req)
    local run = begin(req)
    local made = answer.json(201, { run = run })
    local steps = { { "event_add", req.json.name, { kind = "made", data = { run = run } } } }
    local done, text, name = idempotent.apply(req, steps, made)
    if not done then problem.of_failure(text, name) end
    begin(req)
    if req.json.hang then await(req, "go") end
    return made
  end },
  ["POST /api/test/refused"] = { idempotent = true, run = function(req)
    local made = answer.json(201, { run = begin(req) })
    local _, _, name = idempotent.apply(req, { { "event_add", req.json.name, { kind = "made", data = {} } },
      { "payment_set", ident.uuid(), { status = "succeeded" } } }, made)
    problem.raise { status = 409, code = "conflict", detail = tostring(name) }
  end },
  -- The ledger fails its first run, and the key can only be let go of once a test says so.
  ["POST /api/test/unanswered"] = { idempotent = true, run = function(req)
    local run, ledger = begin(req), stores.ledger
    local apply, release = ledger.apply, ledger.key_release
    if run > 1 then return { run = run } end
    function ledger.apply() return nil, "no answer", "timeout" end
    function ledger.key_release(...)
      ledger.key_release = release
      await(req, "go")
      return release(...)
    end
    local done, text, name = idempotent.apply(req, {}, answer.json(201, { run = run }))
    ledger.apply = apply
    problem.check(done, text, name)
  end },
  ["GET /api/test/runs/:name"] = function(req)
    return { runs = problem.check(stores.cache.generation(req.tenant.id, "test:" .. req.params.name)),
      events = #problem.check(stores.ledger.events_of(req.tenant.id, req.params.name)) }
  end,
  ["PUT /api/test/go/:name"] = function(req)
    problem.check(stores.cache.bump(req.tenant.id, "test:" .. req.params.name .. ":go"))
  end,
}
"""
MANY = 64


def make_server(**settings):
    server = Server(**settings)
    add_handlers(server, "test_once", HANDLERS, 'require("lib.idempotent").protect({})')
    return server


class Idempotency(unittest.TestCase):
    """Two servers over one data folder."""

    servers = ()
    settings = {}

    @classmethod
    def setUpClass(cls):
        first = make_server(workers=2, **cls.settings)
        cls.servers = [first, make_server(workers=1, data=first.data, **cls.settings)]
        try:
            for server in cls.servers:
                server.start()
        except BaseException:
            cls.remove()
            raise

    @classmethod
    def remove(cls):
        for server in reversed(cls.servers):
            server.kill()
            server.remove()

    @classmethod
    def tearDownClass(cls):
        try:
            for server in cls.servers:
                code = server.stop()
                if code != 0 or "AddressSanitizer" in server.log() or "runtime error:" in server.log():
                    raise AssertionError(f"the server ended with {code}:\n{server.log()[-6000:]}")
        finally:
            cls.remove()

    @staticmethod
    def name():
        return str(uuid.uuid4())

    def post(self, path, body, once, server=0, session="a-session-of-the-test", **options):
        headers = {"Idempotency-Key": once} if once else {}
        if options.get("key"):
            session = None
        return call(self.servers[server].port, "POST", path, json=body, headers=headers, session=session, **options)

    def leave(self, path, body, key, server):
        """A client that goes away once its request's handler runs."""
        port = self.servers[server].port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", path, body=json.dumps(body), headers={
            "Host": f"acme.localhost:{port}", "Content-Type": "application/json", "Idempotency-Key": key,
            "X-Session-ID": "a-session-of-the-test"})
        eventually(lambda: self.runs(body["name"]) == 1, "the handler runs")
        connection.close()

    def runs(self, name, server=0):
        answer = call(self.servers[server].port, "GET", "/api/test/runs/" + name)
        self.assertEqual(answer.status, 200, answer)
        return answer.json["runs"]

    def go(self, name, server=0):
        self.assertEqual(call(self.servers[server].port, "PUT", "/api/test/go/" + name).status, 204)

    def same(self, answer, other):
        """The same answer, byte for byte, but for what belongs to one sending of it."""
        sending = {"date", "x-request-id", "idempotent-replayed", "ratelimit", "connection"}
        self.assertEqual((answer.status, answer.body), (other.status, other.body))
        self.assertEqual({name: text for name, text in answer.headers.items() if name not in sending},
                         {name: text for name, text in other.headers.items() if name not in sending})

    def running(self, answer):
        self.assertEqual((answer.status, answer.json["code"]), (409, "idempotency_key_running"), answer)
        self.assertGreaterEqual(int(answer.headers.get("Retry-After")), 1)

    def at_once(self, send, count=MANY):
        """Sends from that many threads at the same moment, to both servers."""
        barrier = threading.Barrier(count)

        def one(i):
            barrier.wait()
            return send(i % 2)
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    def settled(self, send):
        """The answer once nobody works on the key any more."""
        answers = []

        def done():
            answers.append(send())
            if answers[-1].status == 409:
                self.running(answers[-1])
            return answers[-1].status != 409
        eventually(done, "the key settles")
        return answers[-1]


class Keys(Idempotency):
    def test_a_repeated_request_gets_the_same_answer(self):
        body = {"name": "Mug", "sku": self.name(), "price": "9.50", "stock": 5}
        first = self.post("/api/products", body, "create", key="owner")
        self.assertEqual(first.status, 201, first)
        self.assertIsNone(first.headers.get("Idempotent-Replayed"))
        for server in (0, 1):
            again = self.post("/api/products", body, "create", server, key="owner")
            self.same(again, first)
            self.assertEqual(again.headers.get("Idempotent-Replayed"), "true")
            self.assertNotEqual(again.headers.get("X-Request-ID"), first.headers.get("X-Request-ID"))

    def test_refusals_are_answers_too(self):
        body = {"name": "Mug", "sku": self.name(), "price": "9.50", "stock": 5}
        self.assertEqual(self.post("/api/products", body, None, key="owner").status, 201)
        for wrong, status in ((body, 409), ({"name": "Mug"}, 422)):
            key = self.name()
            first = self.post("/api/products", wrong, key, key="owner")
            self.assertEqual(first.status, status, first)
            again = self.post("/api/products", wrong, key, 1, key="owner")
            self.same(again, first)
            self.assertEqual(again.json["requestId"], first.headers.get("X-Request-ID"))

    def test_many_at_once_change_the_stock_once(self):
        made = self.post("/api/products", {"name": "Mug", "sku": self.name(), "price": 1, "stock": 100}, None,
                         key="owner")
        path, key = f"/api/products/{made.json['id']}/stock", self.name()

        def send(server):
            return self.post(path, {"adjust": -3}, key, server, key="owner")
        answers = self.at_once(send)
        first = [answer for answer in answers if answer.status == 200 and
                 not answer.headers.get("Idempotent-Replayed")]
        self.assertEqual(len(first), 1, answers)
        for answer in answers:
            if answer.status == 200:
                self.same(answer, first[0])
            else:
                self.running(answer)
        self.same(send(0), first[0])
        self.same(send(1), first[0])
        self.assertEqual(call(self.servers[1].port, "GET", path[:-6]).json["stock"], 97)

    def test_while_one_runs_all_others_are_told(self):
        name = self.name()

        def send(server):
            return self.post("/api/test/wait", {"name": name}, name, server)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(send, 0)
            eventually(lambda: self.runs(name) == 1, "the handler runs")
            for answer in self.at_once(send):
                self.running(answer)
            self.go(name)
            first = first.result()
        self.assertEqual((first.status, first.json), (201, {"run": 1}), first)
        for answer in self.at_once(send):
            self.same(answer, first)
        self.assertEqual(self.runs(name), 1)

    def test_another_request_with_the_key_is_refused(self):
        name = self.name()
        self.go(name)
        self.assertEqual(self.post("/api/test/wait", {"name": name}, name).status, 201)
        for path, body in (("/api/test/wait", {"name": name, "more": 1}), ("/api/test/wait?x=1", {"name": name})):
            answer = self.post(path, body, name)
            self.assertEqual((answer.status, answer.json["code"]), (422, "idempotency_key_reused"))
        products = [self.post("/api/products", {"name": "Mug", "sku": self.name(), "price": 1, "stock": 9}, None,
                              key="owner").json["id"] for _ in range(2)]
        statuses = [self.post(f"/api/products/{product}/stock", {"adjust": 1}, name, key="owner").status
                    for product in products]
        self.assertEqual(statuses, [200, 422])
        self.assertEqual(self.runs(name), 1)

    def test_a_key_is_the_callers_own(self):
        name = self.name()
        self.go(name)
        other = call(self.servers[0].port, "PUT", "/api/test/go/" + name, tenant="tokyo")
        self.assertEqual(other.status, 204)
        body = {"name": name}
        answers = [self.post("/api/test/wait", body, name), self.post("/api/test/wait", body, name, tenant="tokyo"),
                   self.post("/api/test/wait", body, name, session="another-session-of-it"),
                   self.post("/api/test/owner", body, name, key="owner"),
                   self.post("/api/test/owner", body, name, key="owner", tenant="tokyo")]
        self.assertEqual([answer.headers.get("Idempotent-Replayed") for answer in answers], [None] * 5)
        self.assertEqual([answer.json["run"] for answer in answers], [1, 1, 2, 3, 2])
        again = self.post("/api/test/wait", body, name, session="another-session-of-it")
        self.same(again, answers[2])

    def test_a_cart_gets_its_pieces_once(self):
        product = self.post("/api/products", {"name": "Mug", "sku": self.name(), "price": 1, "stock": 100}, None,
                            key="owner").json["id"]
        session, key = "a-cart-of-" + self.name(), self.name()
        body = {"productId": product, "quantity": 2}
        first = self.post("/api/cart/items", body, key, session=session)
        self.assertEqual(first.status, 200, first)
        self.same(self.post("/api/cart/items", body, key, 1, session=session), first)
        self.assertEqual(first.json["items"][0]["quantity"], 2)
        # Without a session each request begins one: there is nothing that it could repeat.
        starts = [self.post("/api/cart/items", body, key, session=None) for _ in range(2)]
        self.assertEqual([len(start.cookies) for start in starts], [1, 1])

    def test_keys_have_a_form(self):
        self.assertEqual(self.post("/api/test/needs", {}, None).json["code"], "idempotency_key_required")
        self.assertEqual(self.post("/api/test/needs", {}, "k").status, 200)
        self.assertEqual(self.post("/api/test/needs", {}, "k", session=None).json["code"], "session_required")
        for bad in ("two words", "k" * 256, "é"):
            answer = self.post("/api/test/needs", {}, bad)
            self.assertEqual((answer.status, answer.json["code"]), (400, "invalid_idempotency_key"), bad)
        self.assertEqual(self.post("/api/test/needs", {}, "k" * 255).status, 200)
        answer = self.post("/api/test/needs", "{", "broken")
        self.assertEqual((answer.status, answer.json["code"]), (400, "bad_json"))
        self.assertEqual(self.post("/api/test/needs", {}, "broken").status, 200)

    def test_a_fault_of_the_server_frees_the_key(self):
        name = self.name()
        answers = [self.post("/api/test/fail", {"name": name}, name, server)
                   for server in (0, 1, 0, 1, 0)]
        self.assertEqual([answer.status for answer in answers], [503, 500, 409, 200, 200])
        self.assertEqual(answers[1].json["code"], "internal")
        self.same(answers[4], answers[3])
        self.assertEqual(self.runs(name), 4)

    def test_a_refusal_does_not_wait_for_a_ledger_that_does_not_answer(self):
        name = self.name()

        def send():
            return self.post("/api/test/unanswered", {"name": name}, name)
        first = send()
        self.assertEqual((first.status, first.json["code"]), (503, "timeout"), first)
        self.running(send())
        self.go(name)
        answer = self.settled(send)
        self.assertEqual((answer.status, answer.json), (200, {"run": 2}), answer)

    def test_who_leaves_finds_the_answer(self):
        name = self.name()
        self.leave("/api/test/wait", {"name": name}, name, 0)
        self.running(self.post("/api/test/wait", {"name": name}, name, 1))
        self.go(name)
        answer = self.settled(lambda: self.post("/api/test/wait", {"name": name}, name, 1))
        self.assertEqual((answer.status, answer.json), (201, {"run": 1}))
        self.assertEqual(answer.headers.get("Idempotent-Replayed"), "true")

    def test_effect_and_answer_commit_together(self):
        name = self.name()
        answers = self.at_once(lambda server: self.post("/api/test/together", {"name": name}, name, server))
        self.assertEqual({answer.status for answer in answers} - {409}, {201})
        first = self.post("/api/test/together", {"name": name}, name)
        self.assertEqual(first.json, {"run": 1})
        self.assertEqual(self.post("/api/test/together", {"name": name}, None).json, {"run": 3})
        events = call(self.servers[0].port, "GET", "/api/test/runs/" + name).json["events"]
        self.assertEqual(events, 2)

    def test_effects_that_are_refused_leave_nothing(self):
        name = self.name()
        answers = [self.post("/api/test/refused", {"name": name}, name) for _ in range(2)]
        self.assertEqual([answer.status for answer in answers], [409, 409], answers)
        self.same(answers[1], answers[0])
        state = call(self.servers[0].port, "GET", "/api/test/runs/" + name).json
        self.assertEqual(state, {"runs": 1, "events": 0})


class Deaths(Idempotency):
    """Servers with short leases, that are killed and stopped."""

    settings = {"request_ms": 5000, "stuck_ms": 6000}

    def begin(self, path, body, key, server):
        """A request whose answer nobody is to expect."""
        result = []

        def send():
            try:
                result.append(self.post(path, body, key, server))
            except (OSError, http.client.HTTPException):
                pass
        thread = threading.Thread(target=send)
        thread.start()
        return thread, result

    def test_an_answer_survives_the_server(self):
        name = self.name()
        self.go(name)
        first = self.post("/api/test/wait", {"name": name}, name)
        self.servers[0].kill_all()
        self.servers[0].start()
        self.same(self.post("/api/test/wait", {"name": name}, name), first)
        self.assertEqual(self.runs(name), 1)

    def test_a_dead_servers_key_is_taken_over_when_its_lease_ends(self):
        name = self.name()
        thread, _ = self.begin("/api/test/wait", {"name": name}, name, 0)
        eventually(lambda: self.runs(name, 1) == 1, "the handler runs")
        self.servers[0].kill_all()
        thread.join()
        self.running(self.post("/api/test/wait", {"name": name}, name, 1))  # at once: a start may outlast the lease
        self.servers[0].start()
        self.go(name)
        answer = self.settled(lambda: self.post("/api/test/wait", {"name": name}, name))
        self.assertEqual((answer.status, answer.json), (201, {"run": 2}), answer)
        self.same(self.post("/api/test/wait", {"name": name}, name, 1), answer)

    def test_what_was_committed_with_its_answer_is_not_done_again(self):
        name = self.name()
        body = {"name": name, "hang": True}
        thread, _ = self.begin("/api/test/together", body, name, 0)
        eventually(lambda: self.runs(name, 1) == 2, "the transaction is over")
        self.servers[0].kill_all()
        thread.join()
        self.servers[0].start()
        for server in (0, 1):
            answer = self.post("/api/test/together", body, name, server)
            self.assertEqual((answer.status, answer.json), (201, {"run": 1}), answer)
            self.assertEqual(answer.headers.get("Idempotent-Replayed"), "true")
        state = call(self.servers[1].port, "GET", "/api/test/runs/" + name).json
        self.assertEqual(state, {"runs": 2, "events": 1})

    def test_a_server_that_ends_finishes_what_clients_have_left(self):
        name = self.name()
        server = self.servers[1]
        self.leave("/api/test/wait", {"name": name}, name, 1)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: '"event":"draining"' in server.log(), "the server drains")
        self.go(name)
        self.assertEqual(server.process.wait(STOP_S), 0)  # a second SIGTERM would not wait for it
        server.kill()
        server.start()
        answer = self.post("/api/test/wait", {"name": name}, name)
        self.assertEqual((answer.status, answer.json), (201, {"run": 1}), answer)
        self.assertEqual(answer.headers.get("Idempotent-Replayed"), "true")

    def stop_between_writes(self, server):
        """Stopped inside of a transaction it would keep the other server from writing."""
        pids = [server.process.pid, *server.worker_pids()]
        for _ in range(20):
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            if self.post("/api/test/needs", {}, self.name()).status == 200:
                return pids
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        raise AssertionError("it was always stopped inside of a transaction")

    def test_who_was_stopped_for_too_long_stores_nothing(self):
        name = self.name()
        server = self.servers[1]
        thread, late = self.begin("/api/test/wait", {"name": name}, name, 1)
        eventually(lambda: self.runs(name) == 1, "the handler runs")
        pids = self.stop_between_writes(server)
        try:
            self.go(name)
            answer = self.settled(lambda: self.post("/api/test/wait", {"name": name}, name))
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        self.assertEqual((answer.status, answer.json), (201, {"run": 2}), answer)
        thread.join()
        for one in late:
            if one.status == 201:
                self.same(one, answer)
            else:
                self.assertIn(one.status, (409, 503), one)
        eventually(lambda: self.ready(server), "the server is itself again")
        for at in (0, 1):
            self.same(self.post("/api/test/wait", {"name": name}, name, at), answer)
        self.assertEqual(self.runs(name), 2)

    def test_a_handler_that_is_out_of_time_frees_the_key(self):
        name = self.name()
        late = self.post("/api/test/wait", {"name": name}, name)
        self.assertEqual(late.status, 503, late)
        self.go(name)
        answer = self.settled(lambda: self.post("/api/test/wait", {"name": name}, name))
        self.assertEqual((answer.status, answer.json), (201, {"run": 2}), answer)

    @staticmethod
    def ready(server):
        try:
            return call(server.port, "GET", "/readyz", tenant=None).status == 200
        except (OSError, http.client.HTTPException):
            return False


class NoLedger(unittest.TestCase):
    def test_without_the_ledger_nothing_runs_unprotected(self):
        server = make_server()
        os.mkdir(os.path.join(server.data, "ledger.db"))
        try:
            server.start()
            body = {"name": "Mug", "sku": "MUG-1", "price": 1, "stock": 9}
            kept = call(server.port, "POST", "/api/products", json=body, key="owner",
                        headers={"Idempotency-Key": "k"})
            self.assertEqual(kept.status, 503, kept)
            self.assertGreaterEqual(int(kept.headers.get("Retry-After")), 1)
            free = call(server.port, "POST", "/api/products", json=body, key="owner")
            self.assertEqual(free.status, 201, free)
            self.assertEqual(server.stop(), 0)
        finally:
            server.kill()
            server.remove()


if __name__ == "__main__":
    main()
