"""ledger_case.py: what the tests with a faulty PostgreSQL have in common: a server with the probe's routes, payers, and
the accounts that the database must agree with."""
import collections
import os
import shutil
import uuid

from lib import server
from lib.fault_case import RECOVERY_S, FaultCase, new_name
from lib.on_engine import ByProxy, migrate
from lib.payers import Payers
from lib.postgres import Single
from lib.probe import add_routes
from lib.server import ROOT, Server, eventually

# Deadlines of its own, below those of a request. How long a key is held that its request could not let go of follows
# from the last two.
CONNECT_MS, QUERY_MS, REQUEST_MS, STUCK_MS = 1000, 1000, 6000, 6000
# Connections of one worker at most: shared ones, the pool, the one that listens, and one to cancel by.
CONNECTIONS = 2 + 8 + 1 + 1
# Of tests in which nothing is to be refused, however slow the machine.
PATIENT = {**server.PATIENT, "request_ms": 60000, "stuck_ms": 30000}
# The probe's routes, as lines of main.lua.
ROUTES = """    ["POST /api/probe/pay"] = { run = require("api.probe").pay, idempotent = "required" },
    ["GET /api/probe/paid/:order"] = require("api.probe").paid,
    ["POST /api/probe/transfer"] = require("api.probe").transfer,
    ["PUT /api/probe/open/:gate"] = require("api.probe").open,
    ["GET /api/probe/nap"] = require("api.probe").nap,
"""


class LedgerServer(Server):
    """With the probe's routes."""

    def __init__(self, **settings):
        super().__init__(**{"postgres_connect_ms": CONNECT_MS, "postgres_query_ms": QUERY_MS, "redis_url": "",
                            "request_ms": REQUEST_MS, "stuck_ms": STUCK_MS, **settings})
        shutil.copy(os.path.join(ROOT, "tests", "lib", "ledger_probe.lua"),
                    os.path.join(self.scripts, "api", "probe.lua"))
        add_routes(self, ROUTES)


class LedgerCase(FaultCase):
    done = 201

    @classmethod
    def setUpClass(cls):
        cls.unsettled = []
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        try:
            cls.resolve()
        finally:
            super().tearDownClass()

    @classmethod
    def make_engine(cls):
        return Single()

    @classmethod
    def make_server(cls):
        migrate(postgres_url=cls.engine.url)
        return LedgerServer(postgres_url=cls.engine_url(), **cls.settings)

    @classmethod
    def query(cls, sql):
        """A superuser's."""
        return cls.engine.query(sql)

    @classmethod
    def pay(cls, order=None, session=None, key=None):
        order = order or str(uuid.uuid4())
        return cls.call("POST", "/api/probe/pay", json={"orderId": order}, session=session or cls.new_session(),
                        headers={"Idempotency-Key": key or order})

    @classmethod
    def ask(cls):
        return cls.pay()

    def keep(self):
        """The order of a new payment that was acknowledged."""
        def attempt():
            order = str(uuid.uuid4())
            return self.pay(order).status == 201 and order
        return eventually(attempt, "a payment goes through", RECOVERY_S)

    def look(self, kept):
        payments = self.read(kept)
        if payments is not None:
            self.assertEqual([payment["orderId"] for payment in payments], [kept])
        return payments

    def read(self, order, **options):
        """The payments of an order; None while that cannot be known."""
        query = "?stale=yes" if options.pop("stale", False) else ""
        answer = self.call("GET", f"/api/probe/paid/{order}{query}", **options)
        if answer.status == 200:
            return answer.json["payments"]
        self.check_refused(answer)
        return None

    def check_unrelated(self):
        super().check_unrelated()
        self.assertEqual(self.add(self.new_session()).status, 200)

    def check_bounds(self):
        """A fault leaves no more connections behind than the server is said to use. The old ones may be on their way
        out."""
        def few():
            rows = self.query("select count(*) from pg_stat_activity where usename = 'perigee'")
            return int(rows[0][0]) <= CONNECTIONS
        eventually(few, "there are few connections", RECOVERY_S)

    def clients(self, count=8):
        return Payers(self.server.port, count, new_name())

    def settle(self, payers):
        """After the faults: the database agrees with what was acknowledged. What became of the other payments is asked
        when all tests of the class have run, because their keys are held for a while."""
        self.unsettled.append(payers)
        self.assertEqual(payers.faults, [])
        self.check_accounts(payers)

    @classmethod
    def check_accounts(cls, payers):
        """A payment and what was done in its transaction are there once if it was acknowledged, and never twice."""
        for table in ("payment_transactions", "order_events"):
            kept = collections.Counter(row[0] for row in cls.query(f"select order_id from {table}"))
            for payment in payers.payments:
                assert payment.acknowledged <= kept[payment.order] <= 1, \
                    f"{kept[payment.order]} of {payment.order} in {table}, sent {payment.asked} times," \
                    f" acknowledged: {payment.acknowledged}"

    @classmethod
    def resolve(cls):
        """Whoever asks again with his key learns what became of his payment, and then it is there. The leases of
        requests that could not let go of their keys run out at once instead of later."""
        cls.query("update idempotency_keys set lease_until = now() where state = 'running'")
        for payers in cls.unsettled:
            eventually(lambda some=payers: some.ask_held() == 0,
                       lambda some=payers: f"every payment's end is known; faults: {some.faults[:3]}", RECOVERY_S)
            assert not payers.faults, payers.faults
            assert all(payment.acknowledged for payment in payers.payments)
            cls.check_accounts(payers)


class LedgerByProxy(ByProxy, LedgerCase):
    """One PostgreSQL behind a proxy; migrations and the tests' own questions go straight there."""

    options = {}

    @classmethod
    def make_engine(cls):
        return Single(**cls.options)
