"""chaos.py: what the tests with faults have in common: a server on Redis, what it owes, and its recovery."""
import contextlib
import os
import threading

from lib.case import Case
from lib.engines import until
from lib.server import Server, eventually
from lib.shoppers import Shoppers

LONG = os.environ.get("PERIGEE_CHAOS") == "long"
# A ceiling: the aim is two seconds.
RECOVERY_S = 120


def replication(node):
    with node.client() as client:
        return client.info("replication")


class ChaosCase(Case):
    """Subclasses say by class methods what the server stands on: start_engine, stop_engine and redis_url."""

    number = 0

    @classmethod
    def setUpClass(cls):
        cls.start_engine()
        try:
            super().setUpClass()
        except BaseException:
            cls.stop_engine()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.stop_engine()

    @classmethod
    def make_server(cls):
        return Server(redis_url=cls.redis_url(), **cls.settings)

    @classmethod
    def prepare(cls):
        body = {"name": "Mug", "sku": "MUG-CHAOS", "price": "9.50", "stock": 0, "stockPolicy": "continue"}
        made = cls.call("POST", "/api/products", json=body, key="owner")
        assert made.status == 201, made
        cls.product = made.json["id"]
        cls.await_service()

    @classmethod
    def new_session(cls):
        ChaosCase.number += 1
        return f"session-of-chaos-{os.getpid()}-{ChaosCase.number:06}"

    @classmethod
    def add(cls, session, quantity=1):
        body = {"productId": cls.product, "quantity": quantity}
        return cls.call("POST", "/api/cart/items", json=body, session=session)

    @classmethod
    def fill(cls, quantity=1):
        """The session of a new cart with so many pieces."""
        def attempt():
            session = cls.new_session()
            return cls.add(session, quantity).status == 200 and session
        return eventually(attempt, "a cart is filled", RECOVERY_S)

    def quantity(self, session):
        """The pieces in a cart. One of several connections may be on its way out still, and a request with it."""
        cart = eventually(lambda: self.read(session), "the cart can be read", RECOVERY_S)
        return sum(item["quantity"] for item in cart["items"])

    def read(self, session):
        answer = self.call("GET", "/api/cart", session=session)
        if answer.status == 200:
            return answer.json
        self.check_refused(answer)
        return None

    @classmethod
    def await_service(cls):
        """Carts work again by themselves, and go on working: a node or a connection may come back before another."""
        good = []

        def ten_in_a_row():
            good.append(cls.add(cls.new_session()).status)
            return good[-10:] == [200] * 10
        eventually(ten_in_a_row, f"carts work again; the answers were {good[-30:]}\n{cls.server.log()[-3000:]}",
                   RECOVERY_S)

    def check_without_redis(self):
        """What needs no Redis goes on; what does says so, and when to try again."""
        for path in ("/api/products", "/api/products/" + self.product, "/api/products/by-sku/MUG-CHAOS"):
            self.expect(200, "GET", path)
        self.expect(200, "GET", "/healthz", tenant=None)
        self.check_refused(self.add(self.new_session()))

    def check_refused(self, answer):
        self.assertEqual(answer.status, 503, answer)
        self.assertRegex(answer.headers.get("Retry-After", ""), r"^\d+$")
        self.assertEqual(answer.json["status"], 503)

    def crowd(self, size):
        """So many shoppers at once, each with one request; their answers, all of them."""
        answers = []

        def one(session):
            answers.append(self.add(session))
        threads = [threading.Thread(target=one, args=(self.new_session(),)) for _ in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), size)
        return answers

    def settle(self, shoppers):
        """After the faults: every piece that was confirmed is there, and none that was never asked for. A server that
        was replaced may have lost what it had not passed on: see `replaced`."""
        self.assertEqual(shoppers.faults, [])
        for account in shoppers.accounts:
            kept = self.quantity(account.session)
            self.assertGreaterEqual(kept, account.added - account.doubtful, f"{account.session} lost something")
            self.assertLessEqual(kept, account.asked, f"{account.session} has too much")

    @contextlib.contextmanager
    def replaced(self, shoppers, node, replica, others=()):
        """Around the death of a master and the rise of its replica. Replication is asynchronous: what the master
        confirms from now on, until requests that begin afterwards are answered, may be lost. What it had confirmed
        before may not, for the replica has it when the block begins; nor what the other masters hold."""
        safe = {key.decode().rsplit(":", 1)[1] for other in others for key in other.call("KEYS", "cart:*")}
        before = {account: account.added for account in shoppers.accounts}
        target = int(replication(node)["master_repl_offset"])
        until(lambda: int(replication(replica)["slave_repl_offset"]) >= target, "the replica has it all")
        yield
        asked = {account: account.asked for account in shoppers.accounts if shoppers.fills(account)}
        # Each shopper has one request under way, which began before.
        eventually(lambda: all(account.asked >= count + 2 or not shoppers.fills(account)
                               for account, count in asked.items()),
                   f"each shopper is answered; faults: {shoppers.faults[:3]}", RECOVERY_S)
        for account in shoppers.accounts:
            if account.session not in safe:
                account.doubtful += account.added - before.get(account, 0)

    def shop(self, count=8):
        """Shoppers under way, who have each added something."""
        ChaosCase.number += 1
        return Shoppers(self.server.port, self.product, count, f"{os.getpid()}-{ChaosCase.number}")

    def more(self, shoppers, pieces=20):
        """Waits until so many more were added."""
        target = shoppers.added + pieces
        eventually(lambda: shoppers.added >= target,
                   f"shoppers go on; {shoppers.added} of {target} added, {shoppers.refused} refused,"
                   f" faults: {shoppers.faults[:3]}", RECOVERY_S)

    def ended(self, shoppers, answers=8):
        """Waits until so many requests more were refused."""
        target = shoppers.refused + answers
        eventually(lambda: shoppers.refused >= target,
                   f"requests are refused; {shoppers.refused} of {target}, faults: {shoppers.faults[:3]}", RECOVERY_S)
