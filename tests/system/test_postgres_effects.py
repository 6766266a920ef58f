#!/usr/bin/env python3
"""test_postgres_effects.py: keys, outbox and audit with their ledger in PostgreSQL: the embedded engine's tests."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402 pylint: disable=wrong-import-position
from lib.on_engine import OnPostgres  # noqa: E402 pylint: disable=wrong-import-position
import test_audit  # noqa: E402 pylint: disable=wrong-import-position
import test_idempotency  # noqa: E402 pylint: disable=wrong-import-position
import test_outbox  # noqa: E402 pylint: disable=wrong-import-position

ACME = "01936b5c-7a00-7000-8000-00000000acfe"
DAY_S = 24 * 3600


class Keys(OnPostgres, test_idempotency.Keys):
    def test_an_answer_is_kept_for_24_hours(self):
        name = self.name()
        self.go(name)
        self.assertEqual(self.post("/api/test/wait", {"name": name}, name).status, 201)
        kept = f"select extract(epoch from expires_at - created_at)::int from idempotency_keys where key = '{name}'"
        self.assertEqual(int(self.engine.one(kept)), DAY_S)
        self.engine.query(f"update idempotency_keys set expires_at = now() where key = '{name}'")
        again = self.post("/api/test/wait", {"name": name}, name)
        self.assertEqual((again.status, again.json, again.headers.get("Idempotent-Replayed")), (201, {"run": 2}, None))


class Deaths(OnPostgres, test_idempotency.Deaths):
    pass


class Outbox(OnPostgres, test_outbox.Outbox):
    def setUp(self):
        """What the test before has sent when its servers ended, and could not note any more, would come again."""
        self.engine.query("delete from outbox")
        super().setUp()

    def test_what_nobody_tells_of_is_found(self):
        """Each second somebody looks: an entry that came without a NOTIFY, in a lull."""
        self.all_sent(self.add(self.servers[0], "told", 0, 1))
        made = self.engine.one(
            "insert into outbox (id, tenant_id, key, kind, payload, head, due_at, created_at) values"
            f" (gen_random_uuid(), '{ACME}', 'untold', 'note', '{{\"number\": 0}}', 1, now(), now()) returning id")
        self.all_sent([made])
        self.stop()


class Audit(OnPostgres, test_audit.Audit):
    pass


if __name__ == "__main__":
    main()
