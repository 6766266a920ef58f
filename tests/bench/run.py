#!/usr/bin/env python3
"""run.py: server CPU per request, requests per second and latency, beside nginx on the same bodies; start and size.

The protocol: the server on core 0, the load (wrk, 32 keep-alive connections) on core 1; interleaved rounds; ratios are
medians of the rounds; perigee is measured twice as a control; a round is void unless every answer is 200 and the bodies
agree.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
from lib.case import call  # noqa: E402
from lib.server import Server, free_port  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "8"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
TENANTS = 100
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = "0", "1"


def cpu_us(pids):
    """User and system time of the processes so far, in microseconds."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as source:
            fields = source.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK_US


def resident_mb(pids):
    pages = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm", encoding="ascii") as source:
            pages += int(source.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Perigee:
    """The real binary, its worker on the server's core."""

    host = "bench0.localhost"

    def __init__(self, server):
        self.server = server
        start = time.monotonic()
        server.start()
        self.start_ms = (time.monotonic() - start) * 1000
        self.port = server.port
        self.pids = server.worker_pids()
        for pid in self.pids:
            subprocess.run(["taskset", "-acp", SERVER_CORE, str(pid)], stdout=subprocess.DEVNULL, check=True)

    def headers(self):
        """What the load sends beside the host."""
        return []

    def stop(self):
        self.server.stop()
        self.server.remove()


def bench_server(folder, tenants=TENANTS):
    """The benchmark's handlers and so many equal tenants."""
    target = os.path.join(folder, "tenants")
    shutil.copytree(os.path.join(ROOT, "tenants", "_default"), os.path.join(target, "_default"))
    for number in range(tenants):
        shutil.copytree(os.path.join(HERE, "rules"), os.path.join(target, f"bench{number}"))
    return Server(tenants=target, scripts=os.path.join(HERE, "scripts"), requests_max=1000000)


class Shop(Perigee):
    """The demo's configuration with one product in it."""

    host = "acme.localhost"

    def __init__(self, server=None):
        super().__init__(server or Server(requests_max=1000000))
        body = {"name": "Rope", "sku": "ROPE", "price": "9.99", "stock": 9, "category": ["Climbing"],
                "attributes": {"length": "60 m", "color": "Blue"}, "description": "A rope. " * 20}
        answer = call(self.port, "POST", "/api/products", json=body, key="owner")
        self.path = answer.headers.get("Location")


class Nginx:
    """Debian's nginx with its Lua module, one worker."""

    host = "bench0.localhost"

    def __init__(self, folder, redis_port=0):
        self.port = free_port()
        with open(os.path.join(HERE, "nginx", "nginx.conf.in"), encoding="utf-8") as source:
            text = source.read()
        for name, value in (("FOLDER", folder), ("PORT", str(self.port)), ("HERE", HERE), ("REDIS", str(redis_port))):
            text = text.replace(f"@{name}@", value)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as target:
            target.write(text)
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, "nginx", "-p", folder, "-c", path])
        self.pids = []
        for _ in range(200):
            time.sleep(0.05)
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as source:
                self.pids = [int(pid) for pid in source.read().split()]
            if self.pids:
                break

    def headers(self):
        return []

    def stop(self):
        self.process.terminate()
        self.process.wait()


def cart(lines):
    return {"items": [{"productId": f"p{i}", "sku": f"SKU-{i}", "name": f"Product {i}", "price": 1999 + i,
                       "quantity": 1 + i % 12, "category": ["c"], "attributes": {"color": "black"},
                       "weightGrams": 100} for i in range(lines)]}


def body_of(server, path, post):
    method, body = "GET", None
    if post:
        method = "POST"
        with open(post, encoding="utf-8") as source:
            body = source.read()
    answer = call(server.port, method, path, json=body, tenant=server.host.split(".", maxsplit=1)[0])
    if answer.status != 200:
        raise SystemExit(f"void: {path}: {answer}")
    return answer.body


def load(server, path, post=None, shops=1):
    """One round: (requests, requests per second, p50 ms, p99 ms)."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c32", f"-d{SECONDS}s", "--latency", "--timeout", "30s",
               "-H", "Host: " + server.host, *server.headers(), f"http://127.0.0.1:{server.port}{path}"]
    if post:
        command[-1:-1] = ["-s", os.path.join(HERE, "post.lua")]
        command += ["--", post, str(shops)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit("void: not every answer was 2xx\n" + output)
    return (int(re.search(r"(\d+) requests in", output).group(1)),
            float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)),
            latency(output, "50%"), latency(output, "99%"))


def latency(output, name):
    value, unit = re.search(rf"{re.escape(name)}\s+([\d.]+)(us|ms|s)", output).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure(server, path, post=None, shops=1):
    before = cpu_us(server.pids)
    requests, rate, p50, p99 = load(server, path, post, shops)
    return (cpu_us(server.pids) - before) / requests, rate, p50, p99


def agree(perigee, nginx, path, post, beside):
    ours, theirs = body_of(perigee, path, post), body_of(nginx, beside, post)
    if path != "/plaintext":
        ours, theirs = json.loads(ours), json.loads(theirs)
    if ours != theirs:
        raise SystemExit(f"void: the bodies of {path} differ: {ours} and {theirs}")


def median(rows, column):
    return statistics.median(row[column] for row in rows)


def speed(rows):
    return f"{median(rows, 1):.0f}/s, p50 {median(rows, 2):.2f} ms, p99 {median(rows, 3):.2f} ms"


def compare(name, perigee, nginx, path, post=None, shops=1, beside=None):
    """beside: nginx's path, when it is another one."""
    beside = beside or path
    agree(perigee, nginx, path, post, beside)
    rows = {"perigee": [], "nginx": [], "again": []}
    for _ in range(ROUNDS):
        for key, server, at in (("perigee", perigee, path), ("nginx", nginx, beside), ("again", perigee, path)):
            rows[key].append(measure(server, at, post, shops))
    ours, theirs, again = (median(rows[key], 0) for key in ("perigee", "nginx", "again"))
    ratios = sorted(a[0] / b[0] for a, b in zip(rows["perigee"], rows["nginx"]))
    print(f"{name:14} {ours:7.2f} us/request, nginx {theirs:7.2f}, ratio {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f}), A/A {ours / again:.2f}, {speed(rows['perigee'])}", flush=True)


def alone(name, shop):
    """What nginx has no counterpart of."""
    rows = [measure(shop, shop.path) for _ in range(ROUNDS)]
    costs = sorted(row[0] for row in rows)
    print(f"{name:14} {median(rows, 0):7.2f} us/request ({costs[0]:.2f} to {costs[-1]:.2f}), {speed(rows)}", flush=True)


def starts():
    """From exec to the line that says it listens: with an empty data folder, and again with what that start left."""
    with tempfile.TemporaryDirectory(prefix="perigee-bench-") as data:
        times = []
        for _ in range(ROUNDS + 1):
            shop = Perigee(Server(data=data))
            times.append(shop.start_ms)
            size = resident_mb(shop.pids)
            shop.stop()
        print(f"start          {times[0]:.0f} ms the first time, then {statistics.median(times[1:]):.0f} ms "
              f"({min(times[1:]):.0f} to {max(times[1:]):.0f}); one worker {size:.1f} MB resident", flush=True)


def rules():
    """The program that measures a rule call by itself."""
    subprocess.run(["taskset", "-c", SERVER_CORE, os.path.join(ROOT, "build", "bench_rule_call")], check=True)


def hostile():
    subprocess.run([sys.executable, os.path.join(HERE, "hostile.py")], check=True)


def faults():
    subprocess.run([sys.executable, os.path.join(HERE, "faults.py")], check=True)


def changes():
    subprocess.run([sys.executable, os.path.join(HERE, "changes.py")], check=True)


def postgres():
    subprocess.run([sys.executable, os.path.join(HERE, "postgres.py")], check=True)


def redis():
    subprocess.run([sys.executable, os.path.join(HERE, "redis.py")], check=True)


def product():
    shop = Shop()
    try:
        alone("product", shop)
        print(f"               {resident_mb(shop.pids):.1f} MB resident after it", flush=True)
    finally:
        shop.stop()


def beside_nginx(names):
    with tempfile.TemporaryDirectory(prefix="perigee-bench-") as folder:
        carts = {}
        for lines in (5, 50):
            carts[lines] = os.path.join(folder, f"cart{lines}.json")
            with open(carts[lines], "w", encoding="utf-8") as target:
                json.dump(cart(lines), target)
        scenarios = {"plaintext": ("/plaintext",), "json": ("/json",), "cart-5": ("/price", carts[5]),
                     "cart-50": ("/price", carts[50]), "cart-5-of-100": ("/price", carts[5], TENANTS),
                     "cart-50-of-100": ("/price", carts[50], TENANTS)}
        perigee, nginx = Perigee(bench_server(folder)), Nginx(folder)
        try:
            for name in names:
                compare(name, perigee, nginx, *scenarios[name])
        finally:
            nginx.stop()
            perigee.stop()


NGINX = ("plaintext", "json", "cart-5", "cart-50", "cart-5-of-100", "cart-50-of-100")
ALONE = {"start": starts, "product": product, "rules": rules, "hostile": hostile, "faults": faults, "changes": changes,
         "postgres": postgres, "redis": redis}


def main(names):
    unknown = [name for name in names if name not in NGINX and name not in ALONE]
    if unknown:
        print(f"run.py: no such benchmark: {', '.join(unknown)}; there are {', '.join([*NGINX, *ALONE])}",
              file=sys.stderr)
        return 2
    wanted = names or [*NGINX, *ALONE]
    beside = [name for name in NGINX if name in wanted]
    if beside:
        beside_nginx(beside)
    for name, run in ALONE.items():
        if name in wanted:
            run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
