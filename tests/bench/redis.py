#!/usr/bin/env python3
"""redis.py: what Redis costs: a command on the driver's floor, the gate's part of a request, a product by id.

As run.py does it: the server's core and the load's core, interleaved rounds, medians. The Redis shares the load's core.
Names: commands, gate, product; all when none is given.
"""
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
import run as bench  # noqa: E402
from lib import engines  # noqa: E402
from lib.case import call  # noqa: E402
from lib.server import Server  # noqa: E402

FLIGHTS = (1, 16, 64)
COMMANDS = int(os.environ.get("BENCH_COMMANDS", "200000"))
PROGRAM = os.path.join(bench.ROOT, "build", "bench_redis")
ACME = "01936b5c-7a00-7000-8000-00000000acfe"
SESSION = "a-session-of-the-benchmark"
# Never used up: what is measured is the counting.
RATE = "1000000/1s"


class Redis(engines.Single):
    """A private server on the load's core."""

    def __init__(self):
        super().__init__()
        pid = int(dict(line.split(":", 1) for line in self.node.call("INFO", "server").decode().split("\r\n")
                       if ":" in line)["process_id"])
        subprocess.run(["taskset", "-acp", bench.LOAD_CORE, str(pid)], stdout=subprocess.DEVNULL, check=True)


def spread(values):
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def count_of(flight):
    """One at a time is slow."""
    return COMMANDS // 8 if flight == 1 else COMMANDS


def driver(redis, flight):
    """Microseconds of the driver's processor time per command."""
    argv = ["taskset", "-c", bench.SERVER_CORE, PROGRAM, redis.url, str(flight), str(count_of(flight))]
    return float(subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.split()[0])


def redis_benchmark(redis, flight):
    """The same of redis-benchmark: one connection, so many in a pipeline."""
    count = count_of(flight)
    argv = ["taskset", "-c", bench.SERVER_CORE, "redis-benchmark", "-p", str(redis.node.port), "-c", "1",
            "-P", str(flight), "-n", str(count), "-q", "GET", "bench:key"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit("void: redis-benchmark failed")
    return (usage.ru_utime + usage.ru_stime) * 1e6 / count


def commands():
    with Redis() as redis:
        for flight in FLIGHTS:
            ours, theirs, again = [], [], []
            for _ in range(bench.ROUNDS):
                ours.append(driver(redis, flight))
                theirs.append(redis_benchmark(redis, flight))
                again.append(driver(redis, flight))
            print(f"{'commands-' + str(flight):14} {spread(ours)} us/command, redis-benchmark {spread(theirs)}, "
                  f"A/A {statistics.median(ours) / statistics.median(again):.2f}", flush=True)


class Gated(bench.Perigee):
    """The benchmark's plaintext for a visitor with a session; counted, or not."""

    def __init__(self, folder, url, rate):
        server = bench.bench_server(folder, tenants=1)
        server.settings.update(redis_url=url, rate_limit=rate)
        super().__init__(server)

    def headers(self):
        return ["-H", "X-Session-ID: " + SESSION]


def gate():
    """Session, settings and rate of a request in one round trip: what it adds to the same request without them."""
    with Redis() as redis, tempfile.TemporaryDirectory(prefix="perigee-bench-") as one, \
            tempfile.TemporaryDirectory(prefix="perigee-bench-") as other:
        closed, free = Gated(one, redis.url, RATE), Gated(other, redis.url, "off")
        try:
            if call(closed.port, "GET", "/plaintext", tenant="bench0").headers.get("RateLimit") is None:
                raise SystemExit("void: the gate does not count")
            added, costs = [], []
            for _ in range(bench.ROUNDS):
                without = bench.measure(free, "/plaintext")[0]
                costs.append(bench.measure(closed, "/plaintext")[0])
                added.append(costs[-1] - without)
            print(f"gate           {spread(added)} us/request more, {statistics.median(costs):.2f} in all", flush=True)
        finally:
            closed.stop()
            free.stop()


class Shop(bench.Shop):
    """The demo's shop with its cache in Redis."""

    def __init__(self, url):
        super().__init__(Server(redis_url=url, requests_max=1000000))


class Nginx(bench.Nginx):
    host = "acme.localhost"


def product():
    """A product by id from the cache beside nginx-lua, which sends what the same key holds."""
    with Redis() as redis, tempfile.TemporaryDirectory(prefix="perigee-bench-") as folder:
        shop, nginx = Shop(redis.url), Nginx(folder, redis.node.port)
        try:
            call(shop.port, "GET", shop.path)
            key = f"product:{ACME}:{shop.path.rsplit('/', 1)[1]}"
            redis.node.call("PERSIST", key)
            bench.compare("product-cached", shop, nginx, shop.path, beside="/redis?key=" + key)
        finally:
            nginx.stop()
            shop.stop()


ALL = {"commands": commands, "gate": gate, "product": product}


def main(names):
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"redis.py: no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
