"""ledger_case.py: what the tests with a faulty PostgreSQL have in common: a server with the probe's routes, payers, and
the accounts that the database must agree with."""
import collections
import os
import shutil
import uuid

from lib.case import Case
from lib.payers import Payers
from lib.postgres import Single
from lib.probe import write
from lib.proxy import Proxy
from lib.server import ROOT, Server, eventually

LONG = os.environ.get("PERIGEE_CHAOS") == "long"
# A ceiling: the aim is two seconds.
RECOVERY_S = 120
# Deadlines of its own, below those of a request. How long a key is held that its request could not let go of follows
# from the last two.
CONNECT_MS, QUERY_MS, REQUEST_MS, STUCK_MS = 1000, 1000, 6000, 6000
# Connections of one worker at most: shared ones, the pool, the one that listens, and one to cancel by.
CONNECTIONS = 2 + 8 + 1 + 1
# The probe's routes, as lines of main.lua.
ROUTES = """    ["POST /api/probe/pay"] = { run = require("api.probe").pay, idempotent = "required" },
    ["GET /api/probe/paid/:order"] = require("api.probe").paid,
    ["POST /api/probe/transfer"] = require("api.probe").transfer,
    ["GET /api/probe/nap"] = require("api.probe").nap,
"""


class LedgerServer(Server):
    """With the probe's routes. `migrated` brings the database's schema up first, as an operator would."""

    def __init__(self, **settings):
        super().__init__(**{"postgres_connect_ms": CONNECT_MS, "postgres_query_ms": QUERY_MS, "redis_url": "",
                            "request_ms": REQUEST_MS, "stuck_ms": STUCK_MS, **settings})
        shutil.copy(os.path.join(ROOT, "tests", "lib", "ledger_probe.lua"),
                    os.path.join(self.scripts, "api", "probe.lua"))
        main = os.path.join(self.scripts, "main.lua")
        with open(main, encoding="utf-8") as source:
            before, mark, after = source.read().partition('    ["GET /api/products"]')
        assert mark
        write(main, before + ROUTES + mark + after)

    def migrated(self):
        done = self.run("migrate")
        assert done.returncode == 0, done.stdout + done.stderr
        return self


class LedgerCase(Case):
    """Subclasses say by class methods what the server stands on: start_engine, stop_engine, postgres_url (the server's
    way to it), direct_url (the migrations') and query (a superuser's)."""

    number = 0

    @classmethod
    def setUpClass(cls):
        cls.unsettled = []
        cls.start_engine()
        try:
            super().setUpClass()
        except BaseException:
            cls.stop_engine()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            try:
                cls.resolve()
            finally:
                super().tearDownClass()
        finally:
            cls.stop_engine()

    @classmethod
    def direct_url(cls):
        return cls.postgres_url()

    @classmethod
    def make_server(cls):
        first = LedgerServer(postgres_url=cls.direct_url())
        try:
            first.migrated()
        finally:
            first.remove()
        return LedgerServer(postgres_url=cls.postgres_url(), **cls.settings)

    @classmethod
    def prepare(cls):
        body = {"name": "Mug", "sku": "MUG-CHAOS", "price": "9.50", "stock": 5}
        made = cls.call("POST", "/api/products", json=body, key="owner")
        assert made.status == 201, made
        cls.product = made.json["id"]
        cls.await_service()

    @classmethod
    def new_session(cls):
        LedgerCase.number += 1
        return f"session-of-chaos-{os.getpid()}-{LedgerCase.number:06}"

    @classmethod
    def pay(cls, order=None, session=None, key=None):
        order = order or str(uuid.uuid4())
        return cls.call("POST", "/api/probe/pay", json={"orderId": order}, session=session or cls.new_session(),
                        headers={"Idempotency-Key": key or order})

    @classmethod
    def paid(cls):
        """The order of a new payment that was acknowledged."""
        def attempt():
            order = str(uuid.uuid4())
            return cls.pay(order).status == 201 and order
        return eventually(attempt, "a payment goes through", RECOVERY_S)

    def read(self, order, **options):
        """The payments of an order; None while that cannot be known."""
        query = "?stale=yes" if options.pop("stale", False) else ""
        answer = self.call("GET", f"/api/probe/paid/{order}{query}", **options)
        if answer.status == 200:
            return answer.json["payments"]
        self.check_refused(answer)
        return None

    def check_kept(self, order):
        """Read when everything is well again; one of several connections may be on its way out still."""
        payments = eventually(lambda: self.read(order), "the payment can be read", RECOVERY_S)
        self.assertEqual([payment["orderId"] for payment in payments], [order])

    @classmethod
    def await_service(cls):
        """Payments work again by themselves, and go on working: one connection may come back before another."""
        good = []

        def ten_in_a_row():
            good.append(cls.pay().status)
            return good[-10:] == [201] * 10
        eventually(ten_in_a_row, f"payments work again; the answers were {good[-30:]}\n{cls.server.log()[-3000:]}",
                   RECOVERY_S)

    def check_without_postgres(self):
        """What needs no PostgreSQL goes on; what does says so, and when to try again."""
        self.check_unrelated()
        self.check_refused(self.pay())

    def check_unrelated(self):
        for path in ("/api/products", "/api/products/" + self.product, "/api/products/by-sku/MUG-CHAOS"):
            self.expect(200, "GET", path)
        body = {"productId": self.product, "quantity": 1}
        self.expect(200, "POST", "/api/cart/items", json=body, session=self.new_session())
        self.expect(200, "GET", "/healthz", tenant=None)

    def check_refused(self, answer):
        self.assertEqual(answer.status, 503, answer)
        self.assertRegex(answer.headers.get("Retry-After", ""), r"^\d+$")
        self.assertEqual(answer.json["status"], 503)

    def check_bounds(self):
        """A fault leaves no more connections behind than the server is said to use. The old ones may be on their way
        out."""
        def few():
            rows = self.query("select count(*) from pg_stat_activity where usename = 'perigee'")
            return int(rows[0][0]) <= CONNECTIONS
        eventually(few, "there are few connections", RECOVERY_S)

    def payers(self, count=8):
        """Payers under way."""
        LedgerCase.number += 1
        return Payers(self.server.port, count, f"{os.getpid()}-{LedgerCase.number}")

    def more(self, payers, payments=20):
        """Waits until so many more were acknowledged."""
        target = payers.paid + payments
        self.wait(lambda: payers.paid >= target, "payers go on", payers)

    def ended(self, payers, answers=8):
        """Waits until so many requests more were refused."""
        target = payers.refused + answers
        self.wait(lambda: payers.refused >= target, "requests are refused", payers)

    def wait(self, condition, what, payers):
        try:
            eventually(condition, what, RECOVERY_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; {payers.paid} paid, {payers.refused} refused, faults: {payers.faults[:3]}"
                                 f"\n{self.server.log()[-3000:]}") from error

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
                       f"every payment's end is known; faults: {payers.faults[:3]}", RECOVERY_S)
            assert not payers.faults, payers.faults
            assert all(payment.acknowledged for payment in payers.payments)
            cls.check_accounts(payers)


class OnOne(LedgerCase):
    """One server, which the tests reach by way of a proxy; migrations do not."""

    options = {}

    @classmethod
    def start_engine(cls):
        cls.postgres = Single(**cls.options)
        cls.proxy = Proxy(cls.postgres.node.port)

    @classmethod
    def stop_engine(cls):
        cls.proxy.close()
        cls.postgres.close()

    @classmethod
    def postgres_url(cls):
        return cls.postgres.url_at(cls.proxy.port)

    @classmethod
    def direct_url(cls):
        return cls.postgres.url

    @classmethod
    def query(cls, sql):
        return cls.postgres.query(sql)

    def under_load(self, fault, cure, ends=True):
        """Breaks it mid-request and mends it. `ends`: requests must be refused in between."""
        kept = self.paid()
        with self.payers() as payers:
            self.more(payers)
            fault()
            try:
                if ends:
                    self.ended(payers)
                    self.check_without_postgres()
                self.check_unrelated()
            finally:
                cure()
            self.more(payers)
        self.await_service()
        self.settle(payers)
        self.check_kept(kept)
        self.check_bounds()

    def idle(self, fault, cure):
        """Breaks it and mends it while nobody asks for anything."""
        kept = self.paid()
        fault()
        cure()
        self.await_service()
        self.check_kept(kept)
