"""shoppers.py: shoppers who fill their carts piece by piece while a test breaks things, and keep accounts."""
import json

from lib.clients import PAUSE_S, REST_S, Buyer, Clients

# Of one cart: below what scripts/schema/cart.lua allows for a line.
MOST_PIECES = 5000


class Account:
    """Of one cart: each 200 is a piece that must be in it, each 503 one that may be. `doubtful`: of the former, those
    that a master may have taken with it when it died."""

    def __init__(self, session):
        self.session, self.added, self.refused, self.doubtful = session, 0, 0, 0

    @property
    def asked(self):
        return self.added + self.refused


class Shopper(Buyer):
    """Fills one cart after another; what is neither a 200 nor a 503 is a fault."""

    def __init__(self, port, product, name):
        super().__init__(port)
        self.name_of_carts = name
        self.accounts = [Account(name)]
        self.body = json.dumps({"productId": product})

    @property
    def account(self):
        return self.accounts[-1]

    def step(self):
        if self.account.asked >= MOST_PIECES:
            self.accounts.append(Account(f"{self.name_of_carts}-{len(self.accounts)}"))
        status = self.post("/api/cart/items", self.body, lambda status, _: status == 200,
                           {"X-Session-ID": self.account.session})
        self.account.added += status == 200
        self.account.refused += status == 503
        self.stopping.wait(PAUSE_S if status == 200 else REST_S)


class Shoppers(Clients):
    """Each with carts of its own."""

    def __init__(self, port, product, count, name):
        super().__init__([Shopper(port, product, f"shopper-{name}-{n:04}") for n in range(count)])

    def fills(self, account):
        """Whether somebody fills this cart still, and not the next."""
        return any(shopper.account is account for shopper in self.all)

    @property
    def accounts(self):
        return [account for shopper in self.all for account in shopper.accounts]

    @property
    def done(self):
        return sum(account.added for account in self.accounts)

    @property
    def refused(self):
        return sum(account.refused for account in self.accounts)
