#!/usr/bin/env python3
"""run.py: server CPU per request, requests per second and latency, beside nginx on the same bodies.

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
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
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
    """The real binary with the benchmark's handlers and 100 equal tenants."""

    def __init__(self, folder):
        tenants = os.path.join(folder, "tenants")
        shutil.copytree(os.path.join(ROOT, "tenants", "_default"), os.path.join(tenants, "_default"))
        for number in range(TENANTS):
            shutil.copytree(os.path.join(HERE, "rules"), os.path.join(tenants, f"bench{number}"))
        self.server = Server(tenants=tenants, scripts=os.path.join(HERE, "scripts"), trust_tenant_header="false")
        start = time.monotonic()
        self.server.start()
        self.start_ms = (time.monotonic() - start) * 1000
        self.port = self.server.port
        self.pids = self.server.worker_pids()
        for pid in self.pids:
            subprocess.run(["taskset", "-acp", SERVER_CORE, str(pid)], stdout=subprocess.DEVNULL, check=True)

    def stop(self):
        self.server.stop()
        self.server.remove()


class Nginx:
    """Debian's nginx with its Lua module, one worker."""

    def __init__(self, folder):
        self.port = free_port()
        with open(os.path.join(HERE, "nginx", "nginx.conf.in"), encoding="utf-8") as source:
            text = source.read()
        for name, value in (("FOLDER", folder), ("PORT", str(self.port)), ("HERE", HERE)):
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

    def stop(self):
        self.process.terminate()
        self.process.wait()


def cart(lines):
    return {"items": [{"productId": f"p{i}", "sku": f"SKU-{i}", "name": f"Product {i}", "price": 1999 + i,
                       "quantity": 1 + i % 12, "category": ["c"], "attributes": {"color": "black"},
                       "weightGrams": 100} for i in range(lines)]}


def body_of(port, path, post):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": "bench0.localhost"})
    if post:
        with open(post, "rb") as source:
            request.data = source.read()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def load(port, path, post=None, shops=1):
    """One round: (requests, requests per second, p50 ms, p99 ms)."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c32", f"-d{SECONDS}s", "--latency",
               "-H", "Host: bench0.localhost", f"http://127.0.0.1:{port}{path}"]
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


def measure(server, path, post, shops):
    before = cpu_us(server.pids)
    requests, rate, p50, p99 = load(server.port, path, post, shops)
    return (cpu_us(server.pids) - before) / requests, rate, p50, p99


def agree(perigee, nginx, path, post):
    ours, theirs = body_of(perigee.port, path, post), body_of(nginx.port, path, post)
    if path != "/plaintext":
        ours, theirs = json.loads(ours), json.loads(theirs)
    if ours != theirs:
        raise SystemExit(f"void: the bodies of {path} differ: {ours} and {theirs}")


def scenario(name, perigee, nginx, path, post=None, shops=1):
    agree(perigee, nginx, path, post)
    rows = {"perigee": [], "nginx": [], "again": []}
    for _ in range(ROUNDS):
        for key, server in (("perigee", perigee), ("nginx", nginx), ("again", perigee)):
            rows[key].append(measure(server, path, post, shops))
    ours, theirs, again = (statistics.median(row[0] for row in rows[key]) for key in ("perigee", "nginx", "again"))
    ratios = sorted(a[0] / b[0] for a, b in zip(rows["perigee"], rows["nginx"]))
    print(f"{name:16} {ours:7.2f} us/request, nginx {theirs:7.2f}, ratio {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f}), A/A {ours / again:.2f}, "
          f"{statistics.median(row[1] for row in rows['perigee']):.0f}/s, "
          f"p50 {statistics.median(row[2] for row in rows['perigee']):.2f} ms, "
          f"p99 {statistics.median(row[3] for row in rows['perigee']):.2f} ms", flush=True)


def main(names):
    with tempfile.TemporaryDirectory(prefix="perigee-bench-") as folder:
        carts = {}
        for lines in (5, 50):
            carts[lines] = os.path.join(folder, f"cart{lines}.json")
            with open(carts[lines], "w", encoding="utf-8") as target:
                json.dump(cart(lines), target)
        perigee, nginx = Perigee(folder), Nginx(folder)
        scenarios = {
            "plaintext": ("/plaintext",),
            "json": ("/json",),
            "cart-5": ("/price", carts[5]),
            "cart-50": ("/price", carts[50]),
            "cart-5-of-100": ("/price", carts[5], TENANTS),
            "cart-50-of-100": ("/price", carts[50], TENANTS),
        }
        try:
            print(f"start {perigee.start_ms:.0f} ms, one worker {resident_mb(perigee.pids):.1f} MB resident")
            for name in names or scenarios:
                scenario(name, perigee, nginx, *scenarios[name])
            print(f"after the load {resident_mb(perigee.pids):.1f} MB resident")
        finally:
            nginx.stop()
            perigee.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
