"""fault_case.py: what the tests with a faulty engine have in common: clients under way while it fails and comes back,
what the server owes them, and the faults that any engine may have."""
import itertools
import os
import threading
import time

from lib.case import Case
from lib.on_engine import OnEngine
from lib.server import eventually

LONG = os.environ.get("PERIGEE_CHAOS") == "long"
# A ceiling: the aim is two seconds.
RECOVERY_S = 120

numbers = itertools.count(1)


def new_name():
    return f"{os.getpid()}-{next(numbers):06}"


class FaultCase(OnEngine, Case):
    """Subclasses say what a client wants of the engine: `ask` makes one request of somebody new, which `done` answers;
    `keep` leaves something there, which `look` finds, or None while that cannot be known; `clients` are so many under
    way, with accounts that `settle` compares to what there is."""

    done = 200

    @classmethod
    def ask(cls):
        raise NotImplementedError

    def keep(self):
        raise NotImplementedError

    def look(self, kept):
        raise NotImplementedError

    def clients(self, count=8):
        raise NotImplementedError

    def settle(self, clients):
        raise NotImplementedError

    def check_bounds(self):
        """Whether the faults left anything behind."""

    @classmethod
    def prepare(cls):
        body = {"name": "Mug", "sku": "MUG-CHAOS", "price": "9.50", "stock": 0, "stockPolicy": "continue"}
        made = cls.call("POST", "/api/products", json=body, key="owner")
        assert made.status == 201, made
        cls.product = made.json["id"]
        cls.await_service()

    @classmethod
    def new_session(cls):
        return "session-of-chaos-" + new_name()

    @classmethod
    def add(cls, session, quantity=1):
        body = {"productId": cls.product, "quantity": quantity}
        return cls.call("POST", "/api/cart/items", json=body, session=session)

    @classmethod
    def await_service(cls):
        """It works again by itself, and goes on working: one node or connection may come back before another."""
        seen = []

        def ten_in_a_row():
            seen.append(cls.ask().status)
            return seen[-10:] == [cls.done] * 10
        eventually(ten_in_a_row, lambda: f"service is back; the answers were {seen[-30:]}\n{cls.server.log()[-3000:]}",
                   RECOVERY_S)

    def check_kept(self, kept):
        """When all is well again; one of several connections may be on its way out still, and a request with it."""
        eventually(lambda: self.look(kept), "what was there can be read", RECOVERY_S)

    def check_without_engine(self):
        """What does not need the engine goes on; what does says so, and when to try again."""
        self.check_unrelated()
        self.check_refused(self.ask())

    def check_unrelated(self):
        for path in ("/api/products", "/api/products/" + self.product, "/api/products/by-sku/MUG-CHAOS"):
            self.expect(200, "GET", path)
        self.expect(200, "GET", "/healthz", tenant=None)

    def check_refused(self, answer):
        self.assertEqual(answer.status, 503, answer)
        self.assertRegex(answer.headers.get("Retry-After", ""), r"^\d+$")
        self.assertEqual(answer.json["status"], 503)

    def crowd(self, size):
        """The answers to so many at once, each with one request; all of them."""
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.ask())) for _ in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), size)
        return answers

    def more(self, clients, count=20):
        """Waits until so many more requests have done what they should."""
        target = clients.done + count
        self.wait(lambda: clients.done >= target, "clients go on", clients)

    def ended(self, clients, count=8):
        """Waits until so many more requests were refused."""
        target = clients.refused + count
        self.wait(lambda: clients.refused >= target, "requests are refused", clients)

    def wait(self, condition, what, clients):
        eventually(condition, lambda: f"{what}; {clients.done} done, {clients.refused} refused, faults:"
                                      f" {clients.faults[:3]}\n{self.server.log()[-3000:]}", RECOVERY_S)

    def under_load(self, fault, cure, ends=True, everything=True, count=8):
        """Breaks it mid-request and mends it. `ends`: requests must be refused in between; `everything`: and then none
        gets through."""
        kept = self.keep()
        with self.clients(count) as clients:
            self.more(clients)
            try:
                fault()
                if ends:
                    self.ended(clients)
                if ends and everything:
                    self.check_without_engine()
                else:
                    self.check_unrelated()
            finally:
                cure()
            self.more(clients)
        self.await_service()
        self.settle(clients)
        self.check_kept(kept)
        self.check_bounds()

    def idle(self, fault, cure):
        """Breaks it and mends it while nobody asks for anything."""
        kept = self.keep()
        fault()
        cure()
        self.await_service()
        self.check_kept(kept)


class Faults:
    """Tests for a FaultCase of one node behind a proxy. `reads` and `writes` are the places at which an answer is cut:
    how many of a read's, and up to which byte of a write's in which steps."""

    reads, writes = 20, (600, 30)

    def hang(self, seconds):
        self.engine.node.pause()
        time.sleep(seconds)  # the fault's length, not a wait for something

    def test_a_hang(self):
        for seconds in (1, 5, 30) if LONG else (1,):
            self.under_load(lambda s=seconds: self.hang(s), self.engine.node.resume, ends=False)
            self.idle(lambda s=seconds: self.hang(s), self.engine.node.resume)

    def test_a_hang_without_end(self):
        self.under_load(self.engine.node.pause, self.engine.node.resume)

    def test_killed_and_started_again(self):
        self.under_load(self.engine.node.kill, self.engine.node.start)
        self.idle(self.engine.node.kill, self.engine.node.start)

    def test_refused(self):
        self.under_load(self.proxy.refuse, self.proxy.open)
        self.idle(self.proxy.refuse, self.proxy.open)

    def test_silent(self):
        """The connections that met the silence never speak again: new ones must take their place."""
        self.under_load(self.proxy.silent, self.proxy.open)

    def test_hung_up(self):
        self.under_load(self.proxy.hang_up, self.proxy.open, ends=False)
        self.idle(self.proxy.hang_up, self.proxy.open)

    def test_late_answers(self):
        """Answers that were held back come after their requests have ended, and reach nobody else."""
        self.under_load(self.proxy.pause, self.proxy.open)

    def test_slow_bytes(self):
        self.under_load(self.proxy.slow, self.proxy.open, everything=False)

    def test_cut_within_an_answer(self):
        """Whatever byte the network fails at, a read is answered or refused, and what it says is true."""
        kept = self.keep()
        before = self.proxy.answered
        self.check_kept(kept)
        length = self.proxy.answered - before
        self.assertGreater(length, 0)
        for place in range(0, length + 2, 1 if LONG else max(1, length // self.reads)):
            self.proxy.cut(place)
            self.look(kept)
            self.check_kept(kept)
        self.proxy.open()
        self.assertGreater(self.proxy.cuts, 0)
        self.await_service()

    def test_cut_within_a_write(self):
        most, step = self.writes
        with self.clients(1) as clients:
            for place in range(0, most, 1 if LONG else step):
                cuts = self.proxy.cuts  # before `cut`, which may be over at once
                self.proxy.cut(place)
                self.wait(lambda known=cuts: self.proxy.cuts > known, "the connection is cut", clients)
                self.more(clients, 1)
        self.proxy.open()
        self.await_service()
        self.settle(clients)

    def test_a_crowd_before_a_silent_server(self):
        """Everyone gets an answer, and nothing is left of the queue."""
        self.proxy.silent()
        try:
            for answer in self.crowd(200 if LONG else 64):
                self.check_refused(answer)
            self.check_without_engine()
        finally:
            self.proxy.open()
        self.await_service()
        eventually(lambda: {answer.status for answer in self.crowd(16)} == {self.done}, "a crowd is served")


class Late:
    """Stands before a FaultCase that does without its engine at first."""

    @classmethod
    def await_service(cls):
        """Not before it is there."""

    def check_service(self):
        super().await_service()


class Absent(Late):
    """A test for a FaultCase of one node behind a proxy: the server starts before the engine can be reached."""

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.proxy.refuse()

    def test_a_start_without_the_engine(self):
        self.check_without_engine()
        self.proxy.open()
        self.check_service()
