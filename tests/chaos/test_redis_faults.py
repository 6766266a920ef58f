#!/usr/bin/env python3
"""test_redis_faults.py: one Redis that hangs, dies, refuses, falls silent, is cut off or says no, under load."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.chaos import LONG, ChaosCase  # noqa: E402
from lib.engines import Single, until  # noqa: E402
from lib.proxy import Proxy  # noqa: E402
from lib.server import eventually  # noqa: E402

PASSWORD = "a word, with: signs@"
# Deadlines of its own, below those of a request.
CONNECT_MS, COMMAND_MS = 1000, 1000


class Faults(ChaosCase):
    """The server reaches its Redis by way of a proxy. Its rate limits pass everything while nothing can be counted."""

    settings = {"redis_connect_ms": CONNECT_MS, "redis_command_ms": COMMAND_MS, "rate_limit": "1000000/60s"}

    @classmethod
    def start_engine(cls):
        cls.redis = Single(password=PASSWORD, durable=True)
        cls.proxy = Proxy(cls.redis.node.port)

    @classmethod
    def stop_engine(cls):
        cls.proxy.close()
        cls.redis.close()

    @classmethod
    def redis_url(cls):
        return cls.redis.url_at(cls.proxy.port)

    def under_load(self, fault, cure, ends=True):
        """Breaks it mid-request and mends it. `ends`: requests must be refused in between."""
        kept = self.fill(3)
        with self.shop() as shoppers:
            self.more(shoppers)
            fault()
            try:
                if ends:
                    self.ended(shoppers)
                    self.check_without_redis()
            finally:
                cure()
            self.more(shoppers)
        self.await_service()
        self.settle(shoppers)
        self.assertEqual(self.quantity(kept), 3)

    def idle(self, fault, cure):
        """Breaks it and mends it while nobody asks for anything."""
        kept = self.fill(2)
        fault()
        cure()
        self.await_service()
        self.assertEqual(self.quantity(kept), 2)

    def hang(self, seconds):
        self.redis.node.pause()
        time.sleep(seconds)  # the fault's length, not a wait for something

    def test_a_hang(self):
        for seconds in (1, 5, 30) if LONG else (1,):
            self.under_load(lambda s=seconds: self.hang(s), self.redis.node.resume, ends=False)
            self.idle(lambda s=seconds: self.hang(s), self.redis.node.resume)

    def test_a_hang_without_end(self):
        self.under_load(self.redis.node.pause, self.redis.node.resume)

    def test_killed_and_started_again(self):
        self.under_load(self.redis.node.kill, self.redis.node.start)
        self.idle(self.redis.node.kill, self.redis.node.start)

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
        with self.shop() as shoppers:
            self.more(shoppers)
            self.proxy.slow()
            try:
                eventually(lambda: shoppers.refused >= 8 or shoppers.faults, "slow answers are given up")
                self.expect(200, "GET", "/api/products/" + self.product)
            finally:
                self.proxy.open()
            self.more(shoppers)
        self.await_service()
        self.settle(shoppers)

    def test_cut_within_an_answer(self):
        """Whatever byte the network fails at, a request is answered or refused, and what it says is true."""
        session = self.fill()
        before = self.proxy.answered
        self.assertEqual(self.quantity(session), 1)
        length = self.proxy.answered - before
        self.assertGreater(length, 0)
        for place in range(0, length + 2, 1 if LONG else max(1, length // 40)):
            self.proxy.cut(place)
            answer = self.call("GET", "/api/cart", session=session)
            if answer.status == 200:
                self.assertEqual([item["quantity"] for item in answer.json["items"]], [1], f"cut after {place}")
            else:
                self.check_refused(answer)
            eventually(lambda: self.read(session), "the cart is back")
        self.proxy.open()
        self.assertGreater(self.proxy.cuts, 0)
        self.await_service()

    def test_cut_within_a_write(self):
        session, sure, asked = self.new_session(), 0, 0
        for place in range(0, 400, 1 if LONG else 20):
            self.proxy.cut(place)
            answer = self.add(session)
            asked += 1
            if answer.status == 200:
                sure += 1
            else:
                self.check_refused(answer)
            eventually(lambda: self.read(session), "the cart is back")
        self.proxy.open()
        self.await_service()
        kept = self.quantity(session)
        self.assertTrue(sure <= kept <= asked, f"{kept} in the cart; {sure} confirmed of {asked}")

    def test_a_crowd_before_a_silent_server(self):
        """Everyone gets an answer, and nothing is left of the queue."""
        self.proxy.silent()
        try:
            for answer in self.crowd(200 if LONG else 64):
                self.check_refused(answer)
            self.check_without_redis()
        finally:
            self.proxy.open()
        self.await_service()
        eventually(lambda: {answer.status for answer in self.crowd(16)} == {200}, "a crowd is served")


class Closed(ChaosCase):
    """Limited routes are refused while nothing can be counted."""

    settings = {"rate_limit": "1000000/60s", "rate_limit_without_store": "closed"}

    @classmethod
    def start_engine(cls):
        cls.redis = Single()
        cls.proxy = Proxy(cls.redis.node.port)

    @classmethod
    def stop_engine(cls):
        cls.proxy.close()
        cls.redis.close()

    @classmethod
    def redis_url(cls):
        return cls.redis.url_at(cls.proxy.port)

    def test_closed(self):
        for fault in (self.proxy.refuse, self.proxy.silent):
            eventually(lambda: self.call("GET", "/api/products").status == 200, "limited routes are served")
            fault()
            self.check_refused(self.call("GET", "/api/products"))
            self.expect(200, "GET", "/healthz", tenant=None)
            self.proxy.open()
            self.await_service()


class Refusals(ChaosCase):
    """Redis is there, and says no."""

    settings = {"redis_connect_ms": CONNECT_MS, "redis_command_ms": COMMAND_MS}

    @classmethod
    def start_engine(cls):
        # A restart loads key by key, as slowly as a test says, and looks at its clients in between.
        cls.redis = Single(password=PASSWORD, durable=True, settings=["loading-process-events-interval-bytes 1024"])
        cls.control = cls.redis.node.client()

    @classmethod
    def stop_engine(cls):
        cls.control.close()
        cls.redis.close()

    @classmethod
    def redis_url(cls):
        return cls.redis.url

    def refused(self, fault, cure):
        """Mid-request, and then while nobody asks for anything."""
        kept = self.fill(3)
        with self.shop(4) as shoppers:
            self.more(shoppers)
            fault()
            try:
                self.ended(shoppers)
                self.check_without_redis()
            finally:
                cure()
            self.more(shoppers)
        self.await_service()
        self.settle(shoppers)
        fault()
        cure()
        self.await_service()
        self.assertEqual(self.quantity(kept), 3)

    def test_out_of_memory(self):
        self.refused(lambda: self.control.call("CONFIG", "SET", "maxmemory", "1"),
                     lambda: self.control.call("CONFIG", "SET", "maxmemory", "0"))

    def test_read_only(self):
        """A master that became a replica of one that does not answer: reads go on, writes are refused."""
        self.refused(lambda: self.control.call("REPLICAOF", "127.0.0.1", "1"),
                     lambda: self.control.call("REPLICAOF", "NO", "ONE"))

    def change_password(self, word):
        self.control.call("CONFIG", "SET", "requirepass", word)
        self.control.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.control.call("CLIENT", "KILL", "TYPE", "pubsub")

    def test_wrong_password(self):
        self.refused(lambda: self.change_password("another"), lambda: self.change_password(PASSWORD))
        self.assertNotIn(PASSWORD, self.server.log())
        self.assertNotIn("another", self.server.log())

    def load_slowly(self):
        node = self.redis.node
        with node.client() as client:
            client.call("DEBUG", "POPULATE", "2000", "filler", "2000")
            client.call("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
            client.call("BGREWRITEAOF")
            until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "0"
                  and client.info("persistence")["aof_rewrite_scheduled"] == "0", "the data are written")
        self.control.close()
        self.redis.settings.append("key-load-delay 100000")
        node.configure()
        node.kill()
        node.start(loaded=False)
        until(node.answers, "it loads")
        type(self).control = node.client()
        self.assertEqual(self.control.info("persistence")["loading"], "1")

    def load_on(self):
        self.control.call("CONFIG", "SET", "key-load-delay", "0")
        self.redis.settings.pop()
        self.redis.node.configure()
        until(lambda: self.control.info("persistence")["loading"] == "0", "it has loaded")

    def test_loading(self):
        self.refused(self.load_slowly, self.load_on)
        self.assertEqual(self.redis.node.call("DBSIZE") > 2000, True)


class Absent(ChaosCase):
    """The server starts before its Redis."""

    settings = {"redis_connect_ms": CONNECT_MS, "redis_command_ms": COMMAND_MS}

    @classmethod
    def start_engine(cls):
        cls.redis = Single()
        cls.proxy = Proxy(cls.redis.node.port)
        cls.proxy.refuse()

    @classmethod
    def stop_engine(cls):
        cls.proxy.close()
        cls.redis.close()

    @classmethod
    def redis_url(cls):
        return cls.redis.url_at(cls.proxy.port)

    @classmethod
    def await_service(cls):
        """Not before it is there."""

    def test_a_start_without_redis(self):
        self.check_without_redis()
        self.proxy.open()
        super().await_service()


if __name__ == "__main__":
    main()
