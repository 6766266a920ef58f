"""ledger.py: what must hold of the ledger while several processes work on it at once, whatever the engine."""
import collections
import json
import os
import signal
import subprocess
import tempfile
import uuid

from lib.server import eventually

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ledger_race.lua")
PROCESSES, CALLS = 4, 64
# Of who dies, and of who lives and may be slow.
SHORT_MS, LEASE_MS = 500, 120000


class Races:
    """Tests for a class with `server`, whose settings name the engine, whose schema is there, and `tenants`, which
    answers the names by slug in the ledger's own table."""

    server = None

    def begin(self, act, tenant, *arguments):
        return subprocess.Popen(self.server.command("script", SCRIPT, act, tenant, *map(str, arguments)), text=True,
                                env=self.server.environment(), cwd=self.server.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def finish(self, process, code=0):
        out, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, errors + out)
        return json.loads(out) if code == 0 else None

    def all_at_once(self, count, act, tenant, *arguments):
        return [self.finish(process) for process in
                [self.begin(act, tenant, *arguments) for _ in range(count)]]

    def script(self, text):
        path = os.path.join(self.server.folder, uuid.uuid4().hex + ".lua")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        done = self.server.run("script", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_tenant_is_in_the_ledger_once_it_is_known(self):
        self.server.start()
        try:
            tenant = eventually(lambda: self.tenants().get("acme"), "acme is in the ledger")
        finally:
            self.assertEqual(self.server.stop(), 0)
        self.assertEqual(tenant, "Acme Outfitters")

    def test_a_key_is_claimed_once_by_several_nodes(self):
        keys = 8
        counts = self.all_at_once(PROCESSES, "claim", str(uuid.uuid4()), keys, CALLS)
        for key in range(keys):
            total = sum((collections.Counter(count[key]) for count in counts), collections.Counter())
            self.assertEqual(dict(total), {"new": 1, "running": PROCESSES * CALLS - 1})

    def test_refunds_of_several_nodes_never_exceed_their_payment(self):
        tenant = str(uuid.uuid4())
        payment = self.script(f"""
            local ledger = require("stores").ledger
            local paid = assert(ledger.payment_add("{tenant}", {{ orderId = ident.uuid(), intentId = ident.uuid(),
              amount = 10000, currency = "JPY", status = "succeeded" }}))
            print(json.encode {{ id = paid.id }})
            return 0""")["id"]
        counts = self.all_at_once(PROCESSES, "refund", tenant, payment, 32, 99)
        self.assertEqual(sum(map(collections.Counter, counts), collections.Counter()),
                         {"refunded": 101, "precondition_failed": PROCESSES * 32 - 101})
        kept = self.script(f"""
            local sum = 0
            for _, refund in ipairs(assert(require("stores").ledger.refunds_of("{tenant}", "{payment}"))) do
              sum = sum + refund.amount
            end
            print(json.encode {{ sum = sum }})
            return 0""")["sum"]
        self.assertEqual(kept, 9999)

    def work(self, tenant, keys, count, workers, path):
        """Adds to the keys while workers take, the first of which dies with entries in its hands."""
        adding = [self.begin("add", tenant, key, count) for key in keys]
        self.finish(self.begin("work", tenant, path, SHORT_MS, 5), code=-signal.SIGKILL)
        working = [self.begin("work", tenant, path, LEASE_MS) for _ in range(workers)]
        for process in adding:
            self.finish(process)
        with open(path + ".stop", "w", encoding="utf-8"):
            pass
        for process in working:
            self.finish(process)
        with open(path, encoding="utf-8") as source:
            return [line.split() for line in source]

    def test_entries_leave_in_order_though_a_worker_dies(self):
        keys, count = ["a", "b", "c"], 60
        with tempfile.TemporaryDirectory() as folder:
            lines = self.work(str(uuid.uuid4()), keys, count, 3, os.path.join(folder, "lines"))
        repeated = len(lines) - len({line[2] for line in lines})
        # What the dead one had sent and not yet acknowledged: its consumer knows it by its id.
        self.assertLessEqual(repeated, 1)
        for key in keys:
            seen = list(dict.fromkeys(int(n) for name, n, _ in lines if name == key))
            self.assertEqual(seen, list(range(1, count + 1)), key)
