#!/usr/bin/env python3
"""test_postgres_migrate.py: `perigee migrate`: once, in order, by several nodes at once; the fence of its schema."""
import os
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import postgres  # noqa: E402 pylint: disable=wrong-import-position
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.pg import PgError  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server  # noqa: E402 pylint: disable=wrong-import-position

FENCED = ["audit_log", "checkouts", "idempotency_keys", "order_events", "outbox", "payment_refunds",
          "payment_transactions", "tenants"]
NODES = 5


class OnServer(unittest.TestCase):
    """Each test has a database of its own, which begins empty."""

    postgres = None

    @classmethod
    def setUpClass(cls):
        cls.postgres = postgres.Single()

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()

    def setUp(self):
        self.database = "d" + uuid.uuid4().hex
        self.postgres.node.query(f"create database {self.database} owner {postgres.ROLE}")
        url = self.postgres.url
        self.server = Server(postgres_url=url[:url.rindex("/") + 1] + self.database)
        self.addCleanup(self.server.remove)

    def migrate(self, *arguments, code=0):
        done = self.server.run("migrate", *arguments)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done

    def write(self, name, text):
        with open(os.path.join(self.server.scripts, "migrations", name + ".sql"), "w", encoding="utf-8") as out:
            out.write(text)

    def query(self, sql):
        """As a superuser."""
        return self.postgres.node.query(sql, self.database)

    def names(self):
        return [row[0] for row in self.query("select name from perigee_migrations order by name")]


class Migrate(OnServer):
    def test_status_dry_run_up_and_up_again(self):
        self.assertRegex(self.migrate("status").stdout, r"0001_ledger +pending")
        self.assertIn("CREATE TABLE payment_transactions", self.migrate("--dry-run").stdout)
        self.assertEqual(self.query("select count(*) from pg_tables where schemaname = 'public'"), [["0"]])
        done = self.migrate()
        self.assertIn("0001_ledger: carried out", done.stdout)
        self.assertNotIn("perigee migrate:", done.stderr)
        self.assertRegex(self.migrate("status").stdout, r"0001_ledger +applied 20\d\d-")
        again = self.migrate("up")
        self.assertNotIn("carried out", again.stdout)
        self.assertEqual(again.stdout, "the schema is up to date: 1 migration\n")
        self.assertEqual(self.migrate("--dry-run").stdout, "the schema is up to date\n")

    def test_a_changed_file_is_refused_by_its_name(self):
        self.write("0002_one", "create table one (n int)")
        self.migrate()
        self.write("0002_one", "create table one (n bigint)")
        self.write("0003_two", "create table two (n int)")
        self.assertIn("0002_one was changed", self.migrate(code=1).stderr)
        self.assertIn("CHANGED", self.migrate("status", code=1).stdout)
        self.assertEqual(self.names(), ["0001_ledger", "0002_one"])

    def test_what_fails_leaves_nothing_behind(self):
        self.write("0002_half", "create table half (n int);\ninsert into half values (1);\nselect 1 / 0;\n")
        self.write("0003_after", "create table after_half (n int)")
        done = self.migrate(code=1)
        self.assertIn("0002_half: statement 3: division by zero", done.stderr)
        self.assertEqual(self.names(), ["0001_ledger"])
        self.assertEqual(self.query("select to_regclass('half'), to_regclass('after_half')"), [[None, None]])
        self.write("0002_half", "create table half (n int)")
        self.assertIn("the schema is up to date: 3 migrations\n", self.migrate().stdout)
        self.assertEqual(self.names(), ["0001_ledger", "0002_half", "0003_after"])

    def test_several_nodes_at_once_carry_each_file_out_once(self):
        self.write("0002_slow", "create table slow (n int); select pg_sleep(4); insert into slow values (1)")
        self.write("0003_more", "insert into slow values (2)")
        nodes = [subprocess.Popen(self.server.command("migrate"), env=self.server.environment(), text=True,
                                  cwd=self.server.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for _ in range(NODES)]
        said = [node.communicate(timeout=300) for node in nodes]
        self.assertEqual([node.returncode for node in nodes], [0] * NODES, said)
        for name in ("0001_ledger", "0002_slow", "0003_more"):
            self.assertEqual(sum(f"{name}: carried out" in out for out, _ in said), 1, said)
        self.assertEqual(self.query("select n from slow order by n"), [["1"], ["2"]])
        self.assertTrue(any("waiting for it" in errors for _, errors in said), said)

    def test_a_database_of_a_newer_version_is_said_to_be_one(self):
        self.migrate()
        self.query("insert into perigee_migrations values ('9999_future', 'x')")
        for arguments in ((), ("--dry-run",)):
            done = self.migrate(*arguments)
            self.assertIn("9999_future is not here", done.stderr)
            self.assertNotIn("up to date", done.stdout)

    def test_what_is_not_understood(self):
        self.assertIn("there is no command down", self.migrate("down", code=2).stderr)
        self.write("0001_again", "select 1")
        self.assertIn("have the same number", self.migrate(code=1).stderr)

    def test_a_superuser_is_warned(self):
        self.query("alter role perigee superuser")
        try:
            self.assertIn("row-level security does not bind", self.migrate().stderr)
        finally:
            self.query("alter role perigee nosuperuser")

    def test_a_server_that_is_not_there(self):
        self.server.settings["postgres_url"] = "postgres://perigee@127.0.0.1:1/perigee"
        done = self.migrate(code=1)
        self.assertRegex(done.stderr, "(?m)^perigee migrate: .*refused")
        self.assertEqual(done.stdout, "")


class Schema(OnServer):
    def setUp(self):
        super().setUp()
        self.migrate()
        self.tenant, self.other = str(uuid.uuid4()), str(uuid.uuid4())
        self.client = self.postgres.node.client(self.database)
        self.addCleanup(self.client.close)
        self.client.query("set role " + postgres.ROLE)

    def behind(self, tenant, sql):
        """As the application's role, with the fence up for the tenant; without any for None."""
        fence = f"set local perigee.tenant = '{tenant}';" if tenant else ""
        self.client.query("begin")
        try:
            return self.client.query(fence + sql)
        finally:
            self.client.query("rollback" if sys.exc_info()[0] else "commit")

    def refused(self, sqlstate, tenant, sql):
        with self.assertRaises(PgError) as caught:
            self.behind(tenant, sql)
        self.client.query("rollback")
        self.assertEqual(caught.exception.sqlstate, sqlstate)

    def fill(self, tenant):
        self.behind(tenant, f"""
            insert into tenants (id) values ('{tenant}');
            insert into payment_transactions (id, tenant_id, order_id, stripe_payment_intent_id, amount, status)
              values ('{tenant}', '{tenant}', '{tenant}', 'pi_{tenant}', 29.99, 'pending');
            insert into payment_refunds (tenant_id, payment_id, stripe_refund_id, amount, currency)
              values ('{tenant}', '{tenant}', 're_{tenant}', 1, 'USD');
            insert into idempotency_keys values ('{tenant}', 'c', 'r', 'k', 'h', 'running', 1, now(), null, null, null,
              now(), now());
            insert into checkouts (id, tenant_id, caller, route, key, hash, order_id, order_number, reservation, state,
              epoch, created_at, updated_at)
              values ('{tenant}', '{tenant}', 'c', 'r', 'k', 'h', '{tenant}', '1', 'r', 'claimed', 1, now(), now());
            insert into outbox (id, tenant_id, key, kind, payload, head, due_at, created_at)
              values ('{tenant}', '{tenant}', 'k', 'x', '{{}}', 1, now(), now());
            insert into audit_log (id, tenant_id, actor, action, subject, at)
              values ('{tenant}', '{tenant}', 'a', 'b', 'c', now());
            insert into order_events (id, tenant_id, order_id, kind, at)
              values ('{tenant}', '{tenant}', '{tenant}', 'x', now())""")

    def test_a_query_that_forgets_the_tenant_finds_nothing(self):
        self.fill(self.tenant)
        self.fill(self.other)
        for table in FENCED:
            count = f"select count(*) from {table}"
            self.assertEqual(self.query(count), [["2"]], table)
            self.assertEqual(self.behind(None, count), [["0"]], table)
            self.assertEqual(self.behind(self.tenant, count), [["1"]], table)
            self.assertEqual(self.behind(str(uuid.uuid4()), count), [["0"]], table)
            self.assertEqual(self.behind(None, f"delete from {table} returning 1"), [], table)
            seen = self.behind("*", count)[0][0]
            self.assertEqual(seen, "2" if table in ("checkouts", "idempotency_keys", "outbox") else "0", table)

    def test_nothing_is_written_outside_of_the_fence(self):
        self.fill(self.tenant)
        for tenant in (None, self.other, "*"):
            self.refused("42501", tenant, f"""insert into payment_transactions (tenant_id, order_id,
                stripe_payment_intent_id, amount, status) values ('{self.tenant}', '{self.tenant}', 'pi_2', 1, 'x')""")
            self.assertEqual(self.behind(tenant, "update payment_transactions set status = 'x' returning 1"), [])
        self.refused("42501", self.tenant, f"update outbox set tenant_id = '{self.other}'")
        self.refused("22P02", "nonsense", "select count(*) from outbox")
        self.assertEqual(self.query("select status from payment_transactions"), [["pending"]])

    def test_all_tables_with_a_tenant_are_fenced(self):
        rows = self.query("select relname, relrowsecurity and relforcerowsecurity from pg_class where relkind = 'r' and"
                          " relnamespace = 'public'::regnamespace and relname <> 'perigee_migrations' order by relname")
        self.assertEqual(rows, [[name, "t"] for name in FENCED])

    def test_the_audit_trail_is_only_added_to(self):
        self.fill(self.tenant)
        for sql in ("update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"):
            self.refused("23000", self.tenant, sql)
            with self.assertRaises(PgError, msg="a superuser too"):
                self.query(sql)
        self.assertEqual(self.query("select actor from audit_log"), [["a"]])

    def test_payments_are_as_documented(self):
        columns = self.query("select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
                             " coalesce(pg_get_expr(d.adbin, d.adrelid), '') from pg_attribute a left join pg_attrdef d"
                             " on d.adrelid = a.attrelid and d.adnum = a.attnum"
                             " where a.attrelid = 'payment_transactions'::regclass and a.attnum > 0 order by a.attnum")
        moment = ["timestamp with time zone", "t", "now()"]
        self.assertEqual(columns, [
            ["id", "uuid", "t", "gen_random_uuid()"], ["tenant_id", "uuid", "t", ""], ["order_id", "uuid", "t", ""],
            ["stripe_payment_intent_id", "character varying(255)", "t", ""], ["amount", "numeric(23,4)", "t", ""],
            ["currency", "character varying(3)", "t", "'USD'::character varying"],
            ["status", "character varying(50)", "t", ""], ["failure_reason", "character varying(500)", "f", ""],
            ["created_at", *moment], ["updated_at", *moment]])
        indexes = dict(self.query("select indexname, regexp_replace(indexdef, '.* USING ', '') from pg_indexes"
                                  " where tablename = 'payment_transactions'"))
        for column, keys in (("tenant_id",) * 2, ("order_id",) * 2, ("status",) * 2, ("created_at", "created_at DESC")):
            self.assertEqual(indexes["idx_payment_transactions_" + column], f"btree ({keys})")
        unique = self.query("select pg_get_constraintdef(oid) from pg_constraint where contype in ('p', 'u') and"
                            " conrelid = 'payment_transactions'::regclass order by contype")
        self.assertEqual(unique, [["PRIMARY KEY (id)"], ["UNIQUE (stripe_payment_intent_id)"]])
        self.assertEqual(self.query("select confrelid::regclass from pg_constraint where conname = 'fk_tenant'"),
                         [["tenants"]])
        self.fill(self.tenant)
        # 19 digits of whole units and the four that CLF has.
        self.behind(self.tenant, "update payment_transactions set amount = 1234567890123456789.1234")
        self.assertEqual(self.behind(self.tenant, "select amount from payment_transactions"),
                         [["1234567890123456789.1234"]])
        self.refused("23503", self.other, f"""insert into payment_transactions (tenant_id, order_id,
            stripe_payment_intent_id, amount, status) values ('{self.other}', '{self.other}', 'pi_3', 1, 'x')""")


if __name__ == "__main__":
    main()
