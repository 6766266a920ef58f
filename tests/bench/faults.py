#!/usr/bin/env python3
"""faults.py: what shoppers notice when an engine fails: those who need it not, those who do, and how soon it is over.

Requests that need no engine leave at a fixed rate and are timed from when they were due, also those of the first
moments; the states take turns. An engine is a class with what the server is told, the faults, and a request that needs
it.
"""
import http.client
import json
import multiprocessing.managers
import os
import select
import socket
import statistics
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from lib import engines  # noqa: E402
from lib.case import call  # noqa: E402
from lib.ledger_case import LedgerServer  # noqa: E402
from lib.on_engine import migrate  # noqa: E402
from lib.postgres import Single  # noqa: E402
from lib.proxy import Proxy  # noqa: E402
from lib.server import Server  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
# So many senders that one who waits is one request late, not several.
RATE, SENDERS = 100, 50
# Requests at once that need the engine, beside the others; and the crowd that fills its queue.
NEEDY, CROWD = 2, 500
AIM_RATIO, AIM_OVER_MS, AIM_RECOVERY_MS = 1.5, 100, 2000
SURE = 20  # requests in a row that work: it is back
HEALTHY = "healthy"


class RemoteProxy(Proxy):
    """In a process of its own, so that forwarding and measuring do not wait for each other."""

    def where(self):
        return self.port


class Manager(multiprocessing.managers.BaseManager):
    pass


Manager.register("Proxy", RemoteProxy)


def faults_of(node, proxy):
    """name → (what breaks it, what mends it)"""
    return {
        HEALTHY: (lambda: None, lambda: None),
        "stopped": (node.pause, node.resume),
        "killed": (node.kill, node.start),
        "refused": (proxy.refuse, proxy.open),
        "silent": (proxy.silent, proxy.open),
    }


class Redis:
    """Carts need it; products, lists and the search do not."""

    name = "Redis"
    deadline_ms = 1000
    make_server = Server

    def __init__(self):
        self.redis = engines.Single()
        self.manager = Manager()
        self.manager.start()
        self.proxy = self.manager.Proxy(self.redis.node.port)
        self.settings = {"redis_url": self.redis.url_at(self.proxy.where()), "redis_connect_ms": self.deadline_ms,
                         "redis_command_ms": self.deadline_ms}
        self.faults = faults_of(self.redis.node, self.proxy)

    def close(self):
        self.redis.close()
        self.manager.shutdown()

    def prepare(self, port):
        body = {"name": "Mug", "sku": "MUG", "price": "9.50", "stock": 0, "stockPolicy": "continue"}
        made = call(port, "POST", "/api/products", json=body, key="owner")
        if made.status != 201:
            raise SystemExit(f"void: {made}")
        self.product = made.json["id"]
        self.free = ["/api/products/" + self.product, "/api/products", "/api/products/search?q=mug"]

    def need(self, number):
        """(method, path, body, headers) of a request that needs it."""
        body = json.dumps({"productId": self.product, "quantity": 1})
        headers = {"Content-Type": "application/json", "X-Session-ID": f"session-of-the-bench-{number:08}"}
        return "POST", "/api/cart/items", body, headers


class Postgres:
    """An order's payments need it; products, lists and the search do not."""

    name = "PostgreSQL"
    deadline_ms = 1000
    make_server = LedgerServer

    def __init__(self):
        self.postgres = Single(durable=True)
        self.manager = Manager()
        self.manager.start()
        self.proxy = self.manager.Proxy(self.postgres.node.port)
        self.settings = {"postgres_url": self.postgres.url_at(self.proxy.where()),
                         "postgres_connect_ms": self.deadline_ms, "postgres_query_ms": self.deadline_ms}
        self.faults = faults_of(self.postgres.node, self.proxy)
        migrate(postgres_url=self.postgres.url)

    def close(self):
        self.postgres.close()
        self.manager.shutdown()

    def prepare(self, port):
        self.free = ["/api/products", "/api/products/search?q=mug", "/api/products/by-sku/MUG"]
        made = call(port, "POST", "/api/products", json={"name": "Mug", "sku": "MUG", "price": "9.50"}, key="owner")
        if made.status != 201:
            raise SystemExit(f"void: {made}")

    def need(self, _):
        return "GET", f"/api/probe/paid/{uuid.uuid4()}", None, {}


class Payments(Postgres):
    """A payment by POST with an Idempotency-Key needs it three times: to claim the key, to pay and store the answer,
    and to let go of the key when that failed."""

    name = "PostgreSQL with keys"

    def need(self, number):
        order = str(uuid.uuid4())
        headers = {"Content-Type": "application/json", "X-Session-ID": f"session-of-the-bench-{number:08}",
                   "Idempotency-Key": order}
        return "POST", "/api/probe/pay", json.dumps({"orderId": order}), headers


class Client:
    """One kept connection."""

    def __init__(self, port):
        self.port, self.connection, self.text = port, None, b""

    def ask(self, method, path, body=None, headers=None):
        """Status and milliseconds."""
        self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        start = time.monotonic()
        self.connection.request(method, path, body, {"Host": f"acme.localhost:{self.port}", **(headers or {})})
        answer = self.connection.getresponse()
        self.text = answer.read()
        return answer.status, (time.monotonic() - start) * 1000


class Round:
    """One state for some seconds: requests at a fixed rate that need nothing, some others, and then the cure."""

    numbers = iter(range(1, 10**8))

    def __init__(self, engine, port):
        self.engine, self.port = engine, port
        self.free_ms, self.refused_ms, self.answers = [], [], {}
        self.over = threading.Event()
        self.wrong = []

    def send_free(self, sender, start):
        client = Client(self.port)
        for number in range(sender, RATE * SECONDS, SENDERS):
            due = start + number / RATE
            time.sleep(max(0, due - time.monotonic()))
            status, _ = client.ask("GET", self.engine.free[number % len(self.engine.free)])
            self.free_ms.append((time.monotonic() - due) * 1000)
            if status != 200:
                self.wrong.append(status)

    def send_needy(self):
        client = Client(self.port)
        while not self.over.is_set():
            status, took = client.ask(*self.engine.need(next(self.numbers)))
            self.answers[status] = self.answers.get(status, 0) + 1
            if status == 503:
                self.refused_ms.append(took)
            time.sleep(0.02)

    def run(self, fault):
        needy = [threading.Thread(target=self.send_needy) for _ in range(NEEDY)]
        free = [threading.Thread(target=self.send_free, args=(sender, time.monotonic() + 0.05))
                for sender in range(SENDERS)]
        for thread in [*needy, *free]:
            thread.start()
        time.sleep(0.5)  # so that it strikes requests under way
        fault()
        for thread in free:
            thread.join()
        self.over.set()
        for thread in needy:
            thread.join()
        if self.wrong:
            raise SystemExit(f"void: requests that need no {self.engine.name} got {self.wrong[:5]}")
        return self

    def recover(self, cure):
        """Milliseconds from the cure until the first of SURE requests in a row that work."""
        cure()
        client, start, good, first = Client(self.port), time.monotonic(), 0, None
        while good < SURE:
            status, took = client.ask(*self.engine.need(next(self.numbers)))
            if status in (200, 201):
                first = first or time.monotonic()
                good += 1
            else:
                first, good = None, 0
                time.sleep(0.005)
            if time.monotonic() - start > 60:
                raise SystemExit(f"void: {self.engine.name} did not come back")
        return (first - start) * 1000


def p99(times):
    return sorted(times)[max(0, int(len(times) * 0.99) - 1)]


def spread(values, digits=0):
    values = sorted(values)
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f} to {values[-1]:.{digits}f})"


def resident_mb(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as source:
        return int(source.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def message(port, method, path, body, headers):
    """A request as bytes."""
    body = (body or "").encode()
    headers = {"Host": f"acme.localhost:{port}", "Content-Length": len(body), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def ask_at_once(port, requests):
    """(status, whether it says when to come again, ms) of each. One thread that only waits for sockets: threads would
    wait for each other, and time that."""
    poll, sent, answers = select.epoll(), {}, []
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in requests]
    for connection, request in zip(sockets, requests):
        sent[connection.fileno()] = connection, time.monotonic()
        connection.sendall(request)
        poll.register(connection, select.EPOLLIN | select.EPOLLONESHOT)
    while len(answers) < len(requests):
        for number, _ in poll.poll():
            connection, start = sent[number]
            took = (time.monotonic() - start) * 1000
            head = connection.recv(65536)
            answers.append((int(head[9:12]), b"\r\nRetry-After:" in head, took))
    for connection in sockets:
        connection.close()
    poll.close()
    return answers


def crowd(engine, server):
    """So many at once while the engine is silent: all answers, the slowest of them, and what the worker grows by."""
    fault, cure = engine.faults["silent"]
    pid = server.worker_pids()[0]
    before = resident_mb(pid)
    requests = [message(server.port, *engine.need(next(Round.numbers))) for _ in range(CROWD)]
    fault()
    answers = ask_at_once(server.port, requests)
    grown = resident_mb(pid) - before
    Round(engine, server.port).recover(cure)
    refused = sum(status == 503 and again for status, again, _ in answers)
    print(f"{engine.name} queue: {CROWD} at once while it is silent: {refused} answers 503 with Retry-After, "
          f"the slowest after {max(took for _, _, took in answers):.0f} ms; the worker grew by {grown:.1f} MB")


def measure(engine, server):
    """name → rounds, in turns; each round is (p99 of the free, slowest 503, answers, recovery)."""
    rows = {name: [] for name in engine.faults}
    for _ in range(ROUNDS):
        for name, (fault, cure) in engine.faults.items():
            time.sleep(0.2)  # lets the round before settle
            done = Round(engine, server.port).run(fault)
            rows[name].append((p99(done.free_ms), done.refused_ms, done.answers, done.recover(cure)))
    return rows


def report(engine, rows):
    healthy = [row[0] for row in rows[HEALTHY]]
    print(f"{engine.name}: {ROUNDS} rounds of {SECONDS} s, {RATE} requests/s that do not need it")
    for name, found in rows.items():
        ratios = [row[0] / base for row, base in zip(found, healthy)]
        line = f"{name:9} p99 {spread([row[0] for row in found], 1)} ms"
        if name != HEALTHY:
            refused = [took for row in found for took in row[1]]
            line += (f", ratio {spread(ratios, 2)}, aim {AIM_RATIO}; 503 after {statistics.median(refused):.0f}, at "
                     f"most {max(refused):.0f} ms, aim {engine.deadline_ms + AIM_OVER_MS}; back after "
                     f"{spread([row[3] for row in found])} ms, aim {AIM_RECOVERY_MS}")
        print(line, flush=True)


def run(make):
    engine = make()
    try:
        server = make.make_server(requests_max=1000000, request_ms=10000, **engine.settings)
        try:
            server.start()
            engine.prepare(server.port)
            Round(engine, server.port).recover(lambda: None)
            report(engine, measure(engine, server))
            crowd(engine, server)
        finally:
            server.kill()
            server.remove()
    finally:
        engine.close()


ENGINES = {"redis": Redis, "postgres": Postgres, "payments": Payments}


def main(names):
    for name in names or ENGINES:
        run(ENGINES[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
