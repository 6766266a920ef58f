"""shoppers.py: shoppers who fill their carts piece by piece while a test breaks things, and keep accounts."""
import http.client
import json
import threading

CALL_S = 120
REST_S = 0.05
# Of one line; see scripts/schema/cart.lua.
MOST_PIECES = 9000


class Shopper(threading.Thread):
    """Each 200 is a piece that must be in the cart; each 503 is one that may be; anything else is a fault."""

    def __init__(self, port, product, session):
        super().__init__(daemon=True)
        self.port, self.session = port, session
        self.body = json.dumps({"productId": product})
        self.stopping = threading.Event()
        self.added, self.refused, self.faults = 0, 0, []
        self.connection = None

    def add(self):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_S)
        headers = {"Host": f"acme.localhost:{self.port}", "X-Session-ID": self.session,
                   "Content-Type": "application/json"}
        self.connection.request("POST", "/api/cart/items", body=self.body, headers=headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status == 200:
            self.added += 1
        elif answer.status == 503 and (answer.getheader("Retry-After") or "").isdigit():
            self.refused += 1
            self.stopping.wait(REST_S)
        else:
            self.faults.append(f"{answer.status} {dict(answer.getheaders())} {text[:300]!r}")
            self.stopping.wait(REST_S)

    def run(self):
        while not self.stopping.is_set() and self.added + self.refused < MOST_PIECES:
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
    """Several at once, each with a cart of its own, for a with block."""

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

    @property
    def added(self):
        return sum(shopper.added for shopper in self.all)

    @property
    def refused(self):
        return sum(shopper.refused for shopper in self.all)

    @property
    def faults(self):
        return [fault for shopper in self.all for fault in shopper.faults]
