-- sqlite_tables.lua: the tables of the ledger's file, step by step: names as in PostgreSQL, times in milliseconds.
local function refuse(action)
  return ("CREATE TRIGGER audit_log_no_%s BEFORE %s ON audit_log "
    .. "BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END"):format(action:lower(), action)
end

return { {
  "CREATE TABLE tenants (id TEXT PRIMARY KEY, slug TEXT, name TEXT) WITHOUT ROWID",
  "CREATE TABLE payment_transactions (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL REFERENCES tenants (id), "
    .. "order_id TEXT NOT NULL, stripe_payment_intent_id TEXT NOT NULL UNIQUE, amount TEXT NOT NULL "
    .. "CHECK (minor_units(amount, currency) >= 0), currency TEXT NOT NULL, status TEXT NOT NULL, "
    .. "failure_reason TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL)",
  "CREATE INDEX payment_transactions_order ON payment_transactions (tenant_id, order_id)",
  "CREATE INDEX payment_transactions_status ON payment_transactions (tenant_id, status, created_at, id)",
  "CREATE TABLE payment_refunds (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, "
    .. "payment_id TEXT NOT NULL REFERENCES payment_transactions (id), stripe_refund_id TEXT NOT NULL UNIQUE, "
    .. "amount TEXT NOT NULL CHECK (minor_units(amount, currency) > 0), currency TEXT NOT NULL, reason TEXT, "
    .. "created_at INTEGER NOT NULL)",
  "CREATE INDEX payment_refunds_payment ON payment_refunds (tenant_id, payment_id)",
  "CREATE TABLE idempotency_keys (tenant_id TEXT NOT NULL, caller TEXT NOT NULL, route TEXT NOT NULL, "
    .. "key TEXT NOT NULL, hash TEXT NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL, "
    .. "lease_until INTEGER NOT NULL, status INTEGER, headers TEXT, body TEXT, created_at INTEGER NOT NULL, "
    .. "expires_at INTEGER NOT NULL, PRIMARY KEY (tenant_id, caller, route, key))",
  "CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at)",
  "CREATE TABLE checkouts (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, caller TEXT NOT NULL, route TEXT NOT NULL, "
    .. "key TEXT NOT NULL, hash TEXT NOT NULL, order_id TEXT NOT NULL, order_number TEXT NOT NULL, "
    .. "reservation TEXT NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL, parked INTEGER NOT NULL DEFAULT 0, "
    .. "lease_until INTEGER, quote TEXT, data TEXT, status INTEGER, headers TEXT, body TEXT, "
    .. "created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL)",
  "CREATE UNIQUE INDEX checkouts_key ON checkouts (tenant_id, caller, route, key) WHERE state <> 'released'",
  "CREATE UNIQUE INDEX checkouts_order ON checkouts (tenant_id, order_id)",
  "CREATE INDEX checkouts_lease ON checkouts (lease_until) WHERE lease_until IS NOT NULL",
  -- AUTOINCREMENT: a number never comes back, so that who watches for new ones misses none.
  "CREATE TABLE outbox (entry INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, "
    .. "key TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, "
    .. "head INTEGER NOT NULL, due_at INTEGER NOT NULL, worker TEXT, why TEXT, created_at INTEGER NOT NULL)",
  "CREATE INDEX outbox_key ON outbox (tenant_id, key, entry)",
  "CREATE UNIQUE INDEX outbox_head ON outbox (tenant_id, key) WHERE head = 1",
  "CREATE INDEX outbox_due ON outbox (due_at) WHERE head = 1",
  "CREATE TRIGGER outbox_next AFTER DELETE ON outbox WHEN OLD.head = 1 BEGIN UPDATE outbox SET head = 1 "
    .. "WHERE entry = (SELECT min(entry) FROM outbox WHERE tenant_id = OLD.tenant_id AND key = OLD.key); END",
  "CREATE TABLE audit_log (entry INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, "
    .. "actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, before TEXT, after TEXT, request_id TEXT, "
    .. "at INTEGER NOT NULL)",
  "CREATE INDEX audit_log_tenant ON audit_log (tenant_id, entry)",
  refuse "UPDATE",
  refuse "DELETE",
  "CREATE TABLE order_events (entry INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    .. "tenant_id TEXT NOT NULL, order_id TEXT NOT NULL, kind TEXT NOT NULL, data TEXT, at INTEGER NOT NULL)",
  "CREATE INDEX order_events_order ON order_events (tenant_id, order_id, entry)",
}, {
  "ALTER TABLE checkouts ADD COLUMN kept INTEGER NOT NULL DEFAULT 0",
  "CREATE INDEX checkouts_updated ON checkouts (updated_at) "
    .. "WHERE kept = 0 AND state IN ('claimed', 'frozen', 'reserved', 'failed', 'released')",
} }
