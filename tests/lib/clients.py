"""clients.py: threads on kept connections that send one request after another, several at once, for a with block."""
import http.client
import threading

CALL_S = 120
# After an answer, and after a refusal or a fault.
PAUSE_S, REST_S = 0.01, 0.05


class Client(threading.Thread):
    """Does `step` until it is told to stop. What is not as it should be goes to `faults`."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.stopping = threading.Event()
        self.faults = []
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        """(answer, its bytes). A lost connection raises, and the next request makes another."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_S)
        try:
            self.connection.request(method, path, body=body, headers=headers or {})
            answer = self.connection.getresponse()
            return answer, answer.read()
        except (OSError, http.client.HTTPException):
            self.drop()
            raise

    def drop(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def step(self):
        raise NotImplementedError

    def run(self):
        while not self.stopping.is_set():
            self.step()
        self.drop()


class Buyer(Client):
    """One of acme's: each request is answered as it should be, refused with a 503 that says when to try again, or a
    fault."""

    def post(self, path, body, is_right, headers):
        """The status; 0 for a fault. `is_right(status, bytes)` knows the good answers."""
        headers = {"Host": f"acme.localhost:{self.port}", "Content-Type": "application/json", **headers}
        try:
            answer, text = self.ask("POST", path, body, headers)
        except (OSError, http.client.HTTPException) as failure:
            self.faults.append(f"{type(failure).__name__}: {failure}")
            return 0
        if is_right(answer.status, text) or is_refusal(answer, text):
            return answer.status
        self.faults.append(f"{answer.status} {dict(answer.getheaders())} {text[:300]!r}")
        return 0


def is_refusal(answer, text):
    return answer.status == 503 and (answer.getheader("Retry-After") or "").isdigit() \
        and b'"status":503' in text.replace(b" ", b"")


class Clients:
    """`done` and `refused` count what theirs have reached."""

    def __init__(self, clients):
        self.all = clients

    def __enter__(self):
        for client in self.all:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.all:
            client.stopping.set()
        for client in self.all:
            client.join(CALL_S)

    @property
    def faults(self):
        return [fault for client in self.all for fault in client.faults]
