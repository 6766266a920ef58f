#!/usr/bin/env python3
"""test_postgres_faults.py: one PostgreSQL that hangs, dies, falls silent or is cut off, under load and while idle."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.ledger_case import LONG, OnOne  # noqa: E402
from lib.server import eventually  # noqa: E402


class Faults(OnOne):
    options = {"durable": True}

    def hang(self, seconds):
        self.postgres.node.pause()
        time.sleep(seconds)  # the fault's length, not a wait for something

    def test_a_hang(self):
        for seconds in (1, 5, 30) if LONG else (1,):
            self.under_load(lambda s=seconds: self.hang(s), self.postgres.node.resume, ends=False)
            self.idle(lambda s=seconds: self.hang(s), self.postgres.node.resume)

    def test_a_hang_without_end(self):
        self.under_load(self.postgres.node.pause, self.postgres.node.resume)

    def test_killed_and_started_again(self):
        self.under_load(self.postgres.node.kill, self.postgres.node.start)
        self.idle(self.postgres.node.kill, self.postgres.node.start)

    def test_refused(self):
        self.under_load(self.proxy.refuse, self.proxy.open)
        self.idle(self.proxy.refuse, self.proxy.open)

    def test_silent(self):
        """The connections that met the silence never speak again: new ones must take their place."""
        self.under_load(self.proxy.silent, self.proxy.open)

    def test_hung_up(self):
        self.under_load(self.proxy.hang_up, self.proxy.open, ends=False)
        self.idle(self.proxy.hang_up, self.proxy.open)

    def test_ended_by_an_administrator(self):
        self.under_load(self.postgres.node.end_sessions, lambda: None, ends=False)
        self.idle(self.postgres.node.end_sessions, lambda: None)

    def test_late_answers(self):
        """Answers that were held back come after their requests have ended, and reach nobody else."""
        self.under_load(self.proxy.pause, self.proxy.open)

    def test_slow_bytes(self):
        with self.payers() as payers:
            self.more(payers)
            self.proxy.slow()
            try:
                self.ended(payers)
                self.check_unrelated()
            finally:
                self.proxy.open()
            self.more(payers)
        self.await_service()
        self.settle(payers)

    def test_cut_within_an_answer(self):
        """Whatever byte the network fails at, a read is answered or refused, and what it says is true."""
        order = self.paid()
        before = self.proxy.answered
        self.check_kept(order)
        length = self.proxy.answered - before
        self.assertGreater(length, 0)
        for place in range(0, length + 2, 1 if LONG else max(1, length // 20)):
            self.proxy.cut(place)
            payments = self.read(order)
            if payments is not None:
                self.assertEqual([payment["orderId"] for payment in payments], [order], f"cut after {place}")
            eventually(lambda: self.read(order), "the payment can be read again")
        self.proxy.open()
        self.assertGreater(self.proxy.cuts, 0)
        self.await_service()

    def test_cut_within_a_write(self):
        with self.payers(1) as payers:
            for place in range(0, 600, 1 if LONG else 30):
                self.proxy.cut(place)
                cuts = self.proxy.cuts
                eventually(lambda c=cuts: self.proxy.cuts > c, "the connection is cut")
                self.more(payers, 1)
        self.proxy.open()
        self.await_service()
        self.settle(payers)

    def test_a_crowd_before_a_silent_server(self):
        """Everyone gets an answer, and nothing is left of the queue."""
        self.proxy.silent()
        try:
            answers = []
            crowd = [threading.Thread(target=lambda: answers.append(self.pay())) for _ in range(200 if LONG else 64)]
            for one in crowd:
                one.start()
            for one in crowd:
                one.join()
            self.assertEqual(len(answers), len(crowd))
            for answer in answers:
                self.check_refused(answer)
            self.check_without_postgres()
        finally:
            self.proxy.open()
        self.await_service()


if __name__ == "__main__":
    main()
