#!/usr/bin/env python3
"""test_postgres_transactions.py: faults in the middle of a transaction and at its COMMIT, and transactions in each
other's way."""
import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.fault_case import LONG, new_name  # noqa: E402
from lib.ledger_case import PATIENT, LedgerByProxy  # noqa: E402
from lib.pg import PgError  # noqa: E402
from lib.server import eventually  # noqa: E402


class AtCommit(LedgerByProxy):
    """The server waits for a replica that never comes: a COMMIT has happened and is not answered."""

    def hold_commits(self, held):
        self.engine.node.set("synchronous_standby_names", "nobody" if held else None)

    def waiting(self):
        return int(self.engine.one("select count(*) from pg_stat_activity where wait_event = 'SyncRep'"))

    def cut_at_commit(self, end):
        """Ends the connections of payments that wait within their COMMIT."""
        def fault():
            self.hold_commits(True)
            eventually(self.waiting, "a COMMIT waits")
            end()
        self.under_load(fault, lambda: self.hold_commits(False), everything=False, count=4)

    def test_the_connection_goes(self):
        self.cut_at_commit(self.proxy.hang_up)

    def test_the_session_is_ended(self):
        self.cut_at_commit(lambda: self.engine.node.end_sessions("usename = 'perigee'"))

    def test_the_server_dies(self):
        def die():
            self.engine.node.kill()
            self.engine.node.start()
        self.cut_at_commit(die)

    def test_nothing_happens(self):
        """Their deadlines end them."""
        self.cut_at_commit(lambda: None)


class Transfers(LedgerByProxy):
    # Deadlocks are found well before the statements' own deadlines.
    options = {"settings": ["deadlock_timeout = 50ms"]}

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.query("create table probe (id int primary key, units bigint not null)")
        cls.query("insert into probe select id, 100 from generate_series(1, 4) id")
        cls.query("grant select, update on probe to perigee")

    def units(self):
        return [int(row[0]) for row in self.query("select units from probe order by id")]

    def transfer(self, **body):
        return self.call("POST", "/api/probe/transfer", json={"from": 1, "to": 2, **body})


class InTransaction(Transfers):
    """The connection goes, or another transaction gets in the way, in the middle of one."""

    def within(self, fault):
        """Does something while a transaction waits between its two statements; its answer."""
        answers, gate = [], new_name()
        waits = self.server.log().count("probe_waits")
        thread = threading.Thread(target=lambda: answers.append(self.transfer(gate=gate)))
        thread.start()
        eventually(lambda: self.server.log().count("probe_waits") > waits, "the transaction is open")
        fault()
        self.expect(204, "PUT", "/api/probe/open/" + gate)
        thread.join()
        return answers[0]

    def broken(self, fault, cure):
        before = self.units()
        answer = self.within(fault)
        cure()
        self.check_refused(answer)
        self.await_service()
        eventually(lambda: not self.query("select 1 from pg_stat_activity where state like 'idle in transaction%'"),
                   "no transaction is left open")
        self.assertEqual(self.units(), before)
        self.assertEqual(eventually(self.moved, "transfers work"), True)
        self.assertEqual(sum(self.units()), sum(before))
        self.check_bounds()

    def moved(self):
        answer = self.transfer()
        return answer.status == 200 and answer.json["moved"]

    def test_hung_up(self):
        self.broken(self.proxy.hang_up, lambda: None)

    def test_refused(self):
        self.broken(self.proxy.refuse, self.proxy.open)

    def test_killed(self):
        self.broken(self.engine.node.kill, self.engine.node.start)

    def test_hangs(self):
        self.broken(self.engine.node.pause, self.engine.node.resume)

    def test_silent(self):
        self.broken(self.proxy.silent, self.proxy.open)

    def test_a_lock_that_another_holds(self):
        """Waits end by their deadlines; nothing happens later that was refused."""
        with self.engine.node.client("perigee") as other:
            self.under_load(
                lambda: other.query("begin; lock table payment_transactions in access exclusive mode"),
                lambda: other.query("rollback"), everything=False, count=4)

    def test_a_statement_that_takes_too_long(self):
        """Its deadline ends it, at the server too, and whoever shares its connection goes on."""
        with self.clients(4) as payers:
            self.more(payers)
            for _ in range(3):
                self.check_refused(self.call("GET", "/api/probe/nap?seconds=60"))
            self.more(payers)
        self.assertEqual(payers.faults, [])
        eventually(lambda: not self.query("select 1 from pg_stat_activity where query like '%pg_sleep%'"
                                          " and state = 'active' and usename = 'perigee'"), "the server has stopped it")
        self.settle(payers)


class InEachOthersWay(Transfers):
    """Nothing but the server itself ends what takes too long."""

    settings = PATIENT

    def crossing(self, rounds=3 if not LONG else 20, **options):
        """Transfers there and back at the same time."""
        before, answers = self.units(), []

        def one(source, target):
            answers.append(self.transfer(**{"from": source, "to": target}, ms=50, **options))
        for _ in range(rounds):
            threads = [threading.Thread(target=one, args=pair) for pair in ((1, 2), (2, 1), (1, 2), (2, 1))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(sum(self.units()), sum(before))
        return [answer.status for answer in answers]

    def test_deadlock(self):
        """Who asked for it is tried again until it works; who did not is told."""
        self.assertEqual(set(self.crossing(retry=20)), {200})
        statuses = self.crossing()
        self.assertLessEqual(set(statuses), {200, 409})
        self.assertIn(200, statuses)

    def test_serialization_failure(self):
        self.assertEqual(set(self.crossing(retry=20, isolation="serializable")), {200})
        self.assertLessEqual(set(self.crossing(isolation="serializable")), {200, 409})

    def test_the_servers_own_timeout(self):
        with self.assertRaises(PgError) as told:
            self.query("set statement_timeout = 1; select pg_sleep(1)")
        self.assertEqual(told.exception.sqlstate, "57014")
        self.query("alter role perigee set statement_timeout = '2s'")
        try:
            self.proxy.hang_up()
            self.await_service()
            self.check_refused(self.call("GET", "/api/probe/nap?seconds=60"))
            self.keep()
        finally:
            self.query("alter role perigee reset statement_timeout")
            self.proxy.hang_up()
        self.await_service()


if __name__ == "__main__":
    main()
