#!/usr/bin/env python3
"""changes.py: how long after a change every worker of two servers that share one Redis serves the new value.

A value is changed in the store behind the cache and told by read_through.changed; a connection to each worker asks for
it all the time. Timed from before the change was asked for until the answer with the new value has arrived.
"""
import json
import os
import statistics
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from faults import Client  # noqa: E402
from lib import engines  # noqa: E402
from lib.server import Server  # noqa: E402

CHANGES = int(os.environ.get("BENCH_CHANGES", "200"))
SERVERS, WORKERS = 2, 2
AIM_MS = 1000
LATE_S = 30
HANDLERS = """-- changes_probe.lua: the benchmark's handlers: a cached value, and its change.
local read_through = require "lib.read_through"
local redis = require "lib.redis"

local probe = {}
local worker = ident.uuid()

function probe.get(req)
  local value = read_through.get(req.tenant.id, "probe", { ttl_s = 3600, copy = true }, function()
    return redis.get "probe:source" or "0"
  end)
  return { worker = worker, value = value }
end

function probe.put(req)
  redis.set("probe:source", req.body)
  read_through.changed(req.tenant.id, "probe")
  return {}
end

return probe
"""
ROUTES = """  routes = {
    ["GET /api/probe"] = require("api.changes_probe").get,
    ["PUT /api/probe"] = require("api.changes_probe").put,
"""


def make_server(url):
    server = Server(redis_url=url, workers=WORKERS, requests_max=100000000, log_level="warn")
    with open(os.path.join(server.scripts, "api", "changes_probe.lua"), "w", encoding="utf-8") as out:
        out.write(HANDLERS)
    path = os.path.join(server.scripts, "main.lua")
    with open(path, encoding="utf-8") as source:
        text = source.read()
    with open(path, "w", encoding="utf-8") as out:
        out.write(text.replace("  routes = {\n", ROUTES, 1))
    return server.start()


class Reader(Client):
    """A kept connection, and so one worker."""

    def read(self):
        """(worker, value)."""
        self.ask("GET", "/api/probe")
        found = json.loads(self.text)
        return found["worker"], found["value"]


def readers_of(servers):
    """One for each worker: connections are made until all have turned up."""
    found = {}
    for server in servers:
        own = {}
        while len(own) < WORKERS:
            reader = Reader(server.port)
            own.setdefault(reader.read()[0], reader)
        found.update(own)
    return list(found.values())


def seen_after(readers, writer, value):
    """Milliseconds until each worker serves the value."""
    times = [None] * len(readers)
    start = time.monotonic()

    def follow(place):
        while readers[place].read()[1] != value:
            if time.monotonic() - start > LATE_S:
                return
        times[place] = (time.monotonic() - start) * 1000
    threads = [threading.Thread(target=follow, args=(place,)) for place in range(len(readers))]
    for thread in threads:
        thread.start()
    writer.ask("PUT", "/api/probe", value)
    for thread in threads:
        thread.join()
    if None in times:
        raise SystemExit("void: a worker never heard of a change")
    return times


def main():
    redis, servers = engines.Single(), []
    try:
        servers = [make_server(redis.url) for _ in range(SERVERS)]
        readers, writer = readers_of(servers), Client(servers[0].port)
        times = []
        for number in range(1, CHANGES + 1):
            times += seen_after(readers, writer, str(number))
        times.sort()
        print(f"changes        {CHANGES} changes, {SERVERS} servers with {WORKERS} workers each: a worker serves it "
              f"after {statistics.median(times):.1f} ms (p50), {times[int(len(times) * 0.99) - 1]:.1f} ms (p99), "
              f"{times[-1]:.1f} ms (most), aim {AIM_MS}", flush=True)
    finally:
        for server in servers:
            server.kill()
            server.remove()
        redis.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
