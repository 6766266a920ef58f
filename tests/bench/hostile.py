#!/usr/bin/env python3
"""hostile.py: what a quiet shop's shoppers notice of a hostile shop on the same worker.

Quiet requests leave at a fixed rate and are timed from when they were due; the attacks come from a process of their
own, each a cart that passes no budget. Rounds alone and beside each other take turns; alone twice is the control.
"""
import http.client
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from run import Perigee, bench_server, cart  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "8"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
RATE, SENDERS = 200, 8
ATTACKERS, ATTACKS_PER_S = 4, 50
# Behaves on the sample carts; on a cart with quantity 7 it does one of four things that never end.
TRAP = """return function(cart)
  for _, line in ipairs(cart.items) do
    if line.quantity == 7 then
      if line.price % 4 == 0 then while true do end end
      if line.price % 4 == 1 then local s = "x" while true do s = s .. s:sub(1, 1000) end end
      if line.price % 4 == 2 then local t = {} while true do table.insert(t, 1, {}) end end
      while true do pcall(string.find, ("a"):rep(200000), ".-.-.-b") end
    end
  end
  return {}
end
"""


def ask(connection, host, body):
    connection.request("POST", "/price", body=body, headers={"Host": host, "Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def attack(port, stop):
    """Sends a hostile cart again and again; what comes back does not matter."""
    def run(kind):
        connection, count = None, kind
        while not stop.is_set():
            item = {"productId": "p", "sku": "s", "name": "n", "price": count % 4, "quantity": 7}
            body = json.dumps({"items": [item]})
            count += 1
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                ask(connection, "bench1.localhost", body)
            except (OSError, http.client.HTTPException):
                connection = None
            time.sleep(1 / ATTACKS_PER_S)
    threads = [threading.Thread(target=run, args=(kind,)) for kind in range(ATTACKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def quiet(port, body, wanted):
    """Milliseconds of each quiet request; raises when one fails or answers something else."""
    times, failures, start = [], [], time.monotonic() + 0.1

    def run(sender):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in range(sender, RATE * SECONDS, SENDERS):
            due = start + number / RATE
            time.sleep(max(0, due - time.monotonic()))
            status, got = ask(connection, "bench0.localhost", body)
            times.append((time.monotonic() - due) * 1000)
            if status != 200 or got != wanted:
                failures.append(got)
        connection.close()
    threads = [threading.Thread(target=run, args=(sender,)) for sender in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures or len(times) != RATE * SECONDS:
        raise SystemExit(f"void: {len(failures)} quiet requests failed: {failures[:1]}")
    return times


def p99(times):
    return statistics.quantiles(times, n=100)[98]


def measure(port, body, wanted, hostile):
    if not hostile:
        return p99(quiet(port, body, wanted))
    stop = multiprocessing.Event()
    attacker = multiprocessing.Process(target=attack, args=(port, stop))
    attacker.start()
    try:
        return p99(quiet(port, body, wanted))
    finally:
        stop.set()
        attacker.join()


def main():
    body = json.dumps(cart(5))
    with tempfile.TemporaryDirectory(prefix="perigee-bench-") as folder:
        server = bench_server(folder, 2)
        with open(os.path.join(server.tenants, "bench1", "pricing.lua"), "w", encoding="utf-8") as target:
            target.write(TRAP)
        perigee = Perigee(server)
        try:
            status, wanted = ask(http.client.HTTPConnection("127.0.0.1", perigee.port), "bench0.localhost", body)
            if status != 200:
                raise SystemExit(f"void: {wanted}")
            rows = {"alone": [], "beside": [], "again": []}
            for _ in range(ROUNDS):
                for name, values in rows.items():
                    values.append(measure(perigee.port, body, wanted, name == "beside"))
            kills = server.log().count('"rule_failed"')
        finally:
            perigee.stop()
    show = {name: f"{statistics.median(values):.1f} ms ({min(values):.1f} to {max(values):.1f})"
            for name, values in rows.items()}
    print(f"hostile        p99 of a quiet shop alone {show['alone']}, beside a hostile one {show['beside']}, "
          f"alone again {show['again']}; 0 of its requests failed, {kills} failures of the hostile rule logged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
