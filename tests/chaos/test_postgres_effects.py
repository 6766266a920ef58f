#!/usr/bin/env python3
"""test_postgres_effects.py: effect and answer in one transaction while PostgreSQL is cut off, killed and restarted."""
import concurrent.futures
import http.client
import os
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system"))
from lib import postgres  # noqa: E402 pylint: disable=wrong-import-position
from lib.case import Case, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.fault_case import LONG  # noqa: E402 pylint: disable=wrong-import-position
from lib.on_engine import ByProxy, migrate  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import eventually  # noqa: E402 pylint: disable=wrong-import-position
from test_idempotency import make_server  # noqa: E402 pylint: disable=wrong-import-position

CUTS = 60 if LONG else 12
CLIENTS, EACH = 6, (20 if LONG else 5)
SESSION = "a-session-of-the-chaos"


class Effects(ByProxy, Case):
    @classmethod
    def make_engine(cls):
        return postgres.Single()

    @classmethod
    def make_server(cls):
        migrate(postgres_url=cls.engine.url)
        return make_server(workers=2, postgres_url=cls.engine_url(), request_ms=2000, stuck_ms=4000)

    def post(self, name):
        return self.call("POST", "/api/test/together", json={"name": name}, session=SESSION,
                         headers={"Idempotency-Key": name})

    def insist(self, name):
        """As a client does: the same key until there is an answer that is final."""
        answers = []

        def final():
            try:
                answers.append(self.post(name))
            except (OSError, http.client.HTTPException):
                return False
            return answers[-1].status not in (409, 503)
        eventually(final, "a final answer", 180)
        self.assertEqual(answers[-1].status, 201, answers[-1])
        return answers[-1]

    def check(self, name, answer):
        """One effect, one answer, whenever a busy machine has one."""
        again = self.insist(name)
        self.assertEqual((again.status, again.body), (answer.status, answer.body))
        state = eventually(lambda: self.runs(name), "the ledger can be read")
        self.assertEqual(state["events"], 1, (name, state))

    def runs(self, name):
        """None while the ledger cannot be read."""
        answer = self.call("GET", "/api/test/runs/" + name)
        if answer.status == 503:
            return None
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_cut_off_at_any_byte(self):
        for name in (str(uuid.uuid4()) for _ in range(3)):
            before = self.proxy.answered
            self.insist(name)
        whole = self.proxy.answered - before
        for i in range(CUTS):
            with self.subTest(cut=i):
                name = str(uuid.uuid4())
                self.proxy.cut(1 + whole * i // CUTS)
                answer = self.insist(name)
                self.proxy.open()
                eventually(lambda key=name: self.post(key).status == 201, "the ledger is back")
                self.check(name, answer)

    def test_killed_and_started_anew(self):
        names = [[str(uuid.uuid4()) for _ in range(EACH)] for _ in range(CLIENTS)]

        def client(mine):
            return [(name, self.insist(name)) for name in mine]
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(client, mine) for mine in names]
            for _ in range(3 if LONG else 1):
                self.engine.node.kill()
                self.engine.node.start()
            answers = [one for future in futures for one in future.result()]
        for name, answer in answers:
            self.check(name, answer)

    def test_away_means_503_and_nothing_done(self):
        name = str(uuid.uuid4())
        self.proxy.refuse()
        try:
            answer = self.post(name)
            self.assertEqual(answer.status, 503, answer)
            self.assertGreaterEqual(int(answer.headers.get("Retry-After")), 1)
        finally:
            self.proxy.open()
        self.check(name, self.insist(name))


if __name__ == "__main__":
    main()
