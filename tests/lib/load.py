"""load.py: clients on kept connections that ask one question after another and note what went wrong."""
import http.client

from lib.clients import Client, Clients


class Asker(Client):
    """After a failure it connects again, and counts the failure."""

    def __init__(self, port, path, headers, judge, before):
        super().__init__(port)
        self.path, self.headers, self.judge, self.before = path, headers, judge, before
        self.answers = 0

    def step(self):
        known = self.before()
        try:
            answer, body = self.ask("GET", self.path, headers=self.headers)
            if answer.status != 200:
                raise AssertionError(f"{answer.status}: {body[:300]!r}")
            self.judge(body, known)
            self.answers += 1
        except (OSError, http.client.HTTPException, AssertionError) as failure:
            self.faults.append(f"{type(failure).__name__}: {failure}")
            self.drop()


class Load(Clients):
    """`judge(body, known)` raises AssertionError when an answer is wrong; known is what `before()` gave just before the
    request was sent."""

    def __init__(self, port, path, clients=4, headers=None, judge=lambda *_: None, before=lambda: None):
        super().__init__([Asker(port, path, headers or {}, judge, before) for _ in range(clients)])

    @property
    def answers(self):
        return [client.answers for client in self.all]
