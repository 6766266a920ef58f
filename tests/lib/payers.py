"""payers.py: clients who pay again and again, each time with a key of its own, while a test breaks things, and keep
accounts."""
import http.client
import json
import threading
import uuid

CALL_S = 120
# Between two payments, and after a refusal.
PAUSE_S, REST_S = 0.01, 0.05


class Payment:
    """One key. `acknowledged`: it got a 201; `asked`: how often it was sent."""

    def __init__(self):
        self.order = str(uuid.uuid4())
        self.body = json.dumps({"orderId": self.order})
        self.acknowledged, self.asked = False, 0


class Payer(threading.Thread):
    """Sends one payment until it knows what became of it. A key that a request still holds is left for later;
    what is none of these nor a 503 with Retry-After is a fault: a 409 of another kind is a second payment."""

    def __init__(self, port, session):
        super().__init__(daemon=True)
        self.port, self.session = port, session
        self.stopping = threading.Event()
        self.payments, self.held, self.faults = [], [], []
        self.refused = 0
        self.connection = None

    def send(self, payment):
        """The status, after the accounts; 0 without an answer."""
        payment.asked += 1
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_S)
            headers = {"Host": f"acme.localhost:{self.port}", "X-Session-ID": self.session,
                       "Content-Type": "application/json", "Idempotency-Key": payment.order}
            self.connection.request("POST", "/api/probe/pay", body=payment.body, headers=headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as failure:
            self.faults.append(f"{type(failure).__name__}: {failure}")
            self.drop()
            return 0
        self.note(payment, answer, text)
        return answer.status

    def note(self, payment, answer, text):
        again = (answer.getheader("Retry-After") or "").isdigit()
        if answer.status == 201 and json.loads(text)["orderId"] == payment.order:
            payment.acknowledged = True
        elif answer.status == 503 and again:
            self.refused += 1
        elif answer.status != 409 or b'"idempotency_key_running"' not in text:
            self.faults.append(f"{answer.status} {dict(answer.getheaders())} {text[:300]!r}")

    def drop(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def pay(self):
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

    def run(self):
        while not self.stopping.is_set():
            self.pay()
        self.drop()


class Payers:
    """Several at once, for a with block."""

    def __init__(self, port, count, name):
        self.all = [Payer(port, f"payer-{name}-{n:04}-of-the-tests") for n in range(count)]

    def __enter__(self):
        for payer in self.all:
            payer.start()
        return self

    def __exit__(self, *_):
        for payer in self.all:
            payer.stopping.set()
        for payer in self.all:
            payer.join(CALL_S)

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
    def paid(self):
        return sum(payment.acknowledged for payment in self.payments)

    @property
    def refused(self):
        return sum(payer.refused for payer in self.all)

    @property
    def faults(self):
        return [fault for payer in self.all for fault in payer.faults]
