"""payers.py: clients who pay again and again, each time with a key of its own, while a test breaks things, and keep
accounts."""
import json
import uuid

from lib.clients import PAUSE_S, REST_S, Buyer, Clients


class Payment:
    """One key. `acknowledged`: it got a 201; `asked`: how often it was sent."""

    def __init__(self):
        self.order = str(uuid.uuid4())
        self.body = json.dumps({"orderId": self.order})
        self.acknowledged, self.asked = False, 0

    def is_answer(self, status, text):
        """Its own, or that a request holds its key still; a 409 of another kind is a second payment."""
        if status == 201:
            return json.loads(text)["orderId"] == self.order
        return status == 409 and b'"idempotency_key_running"' in text


class Payer(Buyer):
    """Sends one payment until it knows what became of it. A key that a request still holds is left for later."""

    def __init__(self, port, session):
        super().__init__(port)
        self.session = session
        self.payments, self.held = [], []
        self.refused = 0

    def send(self, payment):
        """The status, after the accounts."""
        payment.asked += 1
        status = self.post("/api/probe/pay", payment.body, payment.is_answer,
                           {"X-Session-ID": self.session, "Idempotency-Key": payment.order})
        payment.acknowledged = payment.acknowledged or status == 201
        self.refused += status == 503
        return status

    def step(self):
        payment = Payment()
        self.payments.append(payment)
        while not self.stopping.is_set():
            status = self.send(payment)
            if status == 201:
                self.stopping.wait(PAUSE_S)
                return
            self.stopping.wait(REST_S)
            if status == 409:
                break
        self.held.append(payment)


class Payers(Clients):
    def __init__(self, port, count, name):
        super().__init__([Payer(port, f"payer-{name}-{n:04}-of-the-tests") for n in range(count)])

    def ask_held(self):
        """Asks once more for each payment whose end its payer does not know; how many are left."""
        for payer in self.all:
            payer.held = [payment for payment in payer.held if payer.send(payment) != 201]
            payer.drop()
        return sum(len(payer.held) for payer in self.all)

    @property
    def payments(self):
        return [payment for payer in self.all for payment in payer.payments]

    @property
    def done(self):
        return sum(payment.acknowledged for payment in self.payments)

    @property
    def refused(self):
        return sum(payer.refused for payer in self.all)
