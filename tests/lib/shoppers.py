"""shoppers.py: shoppers who fill their carts piece by piece while a test breaks things, and keep accounts."""
import http.client
import json
import threading

CALL_S = 120
# Between two pieces, and after a refusal.
PAUSE_S, REST_S = 0.01, 0.05
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


class Shopper(threading.Thread):
    """Fills one cart after another; what is neither a 200 nor a 503 is a fault."""

    def __init__(self, port, product, name):
        super().__init__(daemon=True)
        self.port, self.name_of_carts = port, name
        self.accounts = [Account(name)]
        self.body = json.dumps({"productId": product})
        self.stopping = threading.Event()
        self.faults = []
        self.connection = None

    @property
    def account(self):
        return self.accounts[-1]

    def add(self):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_S)
        headers = {"Host": f"acme.localhost:{self.port}", "X-Session-ID": self.account.session,
                   "Content-Type": "application/json"}
        self.connection.request("POST", "/api/cart/items", body=self.body, headers=headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status == 200:
            self.account.added += 1
            self.stopping.wait(PAUSE_S)
        elif answer.status == 503 and (answer.getheader("Retry-After") or "").isdigit():
            self.account.refused += 1
            self.stopping.wait(REST_S)
        else:
            self.faults.append(f"{answer.status} {dict(answer.getheaders())} {text[:300]!r}")
            self.stopping.wait(REST_S)

    def run(self):
        while not self.stopping.is_set():
            if self.account.asked >= MOST_PIECES:
                self.accounts.append(Account(f"{self.name_of_carts}-{len(self.accounts)}"))
            try:
                self.add()
            except (OSError, http.client.HTTPException) as failure:
                self.faults.append(f"{type(failure).__name__}: {failure}")
                self.connection.close()
                self.connection = None
                self.stopping.wait(REST_S)
        if self.connection:
            self.connection.close()


class Shoppers:
    """Several at once, each with carts of its own, for a with block."""

    def __init__(self, port, product, count, name):
        self.all = [Shopper(port, product, f"shopper-{name}-{n:04}") for n in range(count)]

    def __enter__(self):
        for shopper in self.all:
            shopper.start()
        return self

    def __exit__(self, *_):
        for shopper in self.all:
            shopper.stopping.set()
        for shopper in self.all:
            shopper.join(CALL_S)

    def fills(self, account):
        """Whether somebody fills this cart still, and not the next."""
        return any(shopper.account is account for shopper in self.all)

    @property
    def accounts(self):
        return [account for shopper in self.all for account in shopper.accounts]

    @property
    def added(self):
        return sum(account.added for account in self.accounts)

    @property
    def refused(self):
        return sum(account.refused for account in self.accounts)

    @property
    def faults(self):
        return [fault for shopper in self.all for fault in shopper.faults]
