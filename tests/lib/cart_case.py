"""cart_case.py: what the tests with a faulty Redis have in common: a server whose carts are there, and shoppers."""
import contextlib

from lib.engines import Single, until
from lib.fault_case import RECOVERY_S, FaultCase, new_name
from lib.on_engine import ByProxy
from lib.server import Server, eventually
from lib.shoppers import Shoppers

PIECES = 3


def replication(node):
    with node.client() as client:
        return client.info("replication")


class CartCase(FaultCase):
    @classmethod
    def make_server(cls):
        return Server(redis_url=cls.engine_url(), **cls.settings)

    @classmethod
    def ask(cls):
        return cls.add(cls.new_session())

    def keep(self):
        """The session of a new cart with some pieces."""
        def attempt():
            session = self.new_session()
            return self.add(session, PIECES).status == 200 and session
        return eventually(attempt, "a cart is filled", RECOVERY_S)

    def look(self, kept):
        cart = self.read(kept)
        if cart is not None:
            self.assertEqual([item["quantity"] for item in cart["items"]], [PIECES])
        return cart

    def read(self, session):
        """A cart; None while it cannot be known."""
        answer = self.call("GET", "/api/cart", session=session)
        if answer.status == 200:
            return answer.json
        self.check_refused(answer)
        return None

    def quantity(self, session):
        cart = eventually(lambda: self.read(session), "the cart can be read", RECOVERY_S)
        return sum(item["quantity"] for item in cart["items"])

    def clients(self, count=8):
        return Shoppers(self.server.port, self.product, count, new_name())

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
                   lambda: f"each shopper is answered; faults: {shoppers.faults[:3]}", RECOVERY_S)
        for account in shoppers.accounts:
            if account.session not in safe:
                account.doubtful += account.added - before.get(account, 0)


class CartsByProxy(ByProxy, CartCase):
    """One Redis behind a proxy."""

    options = {}

    @classmethod
    def make_engine(cls):
        return Single(**cls.options)
