"""load.py: clients on kept connections that ask one question after another and note what went wrong."""
import http.client
import threading

TIMEOUT_S = 120


class Client(threading.Thread):
    """Asks until it is told to stop. After a failure it connects again, and counts the failure."""

    def __init__(self, port, path, headers, judge, before):
        super().__init__(daemon=True)
        self.port, self.path, self.headers, self.judge, self.before = port, path, headers, judge, before
        self.stopping = threading.Event()
        self.answers, self.failures = 0, []
        self.connection = None

    def ask(self):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        known = self.before()
        self.connection.request("GET", self.path, headers=self.headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise AssertionError(f"{response.status}: {body[:300]!r}")
        self.judge(body, known)
        self.answers += 1

    def run(self):
        while not self.stopping.is_set():
            try:
                self.ask()
            except (OSError, http.client.HTTPException, AssertionError) as failure:
                self.failures.append(f"{type(failure).__name__}: {failure}")
                self.connection.close()
                self.connection = None
        if self.connection:
            self.connection.close()


class Load:
    """Several clients at once, for a with block. `judge(body, known)` raises AssertionError when an answer is wrong;
    known is what `before()` gave just before the request was sent."""

    def __init__(self, port, path, clients=4, headers=None, judge=lambda *_: None, before=lambda: None):
        self.clients = [Client(port, path, headers or {}, judge, before) for _ in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(TIMEOUT_S)

    @property
    def answers(self):
        return [client.answers for client in self.clients]

    @property
    def failures(self):
        return [failure for client in self.clients for failure in client.failures]
