-- sqlite_tables.lua: the tables of the cache role's file, step by step.
--
-- now_ms() is the driver's clock: one clock decides what has expired, whoever asks.
return { {
  "CREATE TABLE texts (tenant TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires_at INTEGER NOT NULL, "
    .. "PRIMARY KEY (tenant, key)) WITHOUT ROWID",
  "CREATE INDEX texts_expires ON texts (expires_at)",
  "CREATE TABLE generations (tenant TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, "
    .. "PRIMARY KEY (tenant, name)) WITHOUT ROWID",
  "CREATE TABLE carts (tenant TEXT NOT NULL, session TEXT NOT NULL, version INTEGER NOT NULL, "
    .. "expires_at INTEGER NOT NULL, PRIMARY KEY (tenant, session)) WITHOUT ROWID",
  "CREATE INDEX carts_expires ON carts (expires_at)",
  "CREATE TABLE cart_fields (tenant TEXT NOT NULL, session TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, "
    .. "PRIMARY KEY (tenant, session, name), "
    .. "FOREIGN KEY (tenant, session) REFERENCES carts (tenant, session) ON DELETE CASCADE) WITHOUT ROWID",
}, {
  "CREATE TABLE locks (tenant TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, fence INTEGER NOT NULL, "
    .. "expires_at INTEGER NOT NULL, PRIMARY KEY (tenant, name)) WITHOUT ROWID",
  "CREATE INDEX locks_expires ON locks (expires_at)",
  "CREATE TABLE rates (tenant TEXT NOT NULL, route TEXT NOT NULL, full_at_us INTEGER NOT NULL, "
    .. "PRIMARY KEY (tenant, route)) WITHOUT ROWID",
  "CREATE INDEX rates_full ON rates (full_at_us)",
  -- AUTOINCREMENT: a number must not come back after the newest message was swept, or a subscriber would miss it.
  "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, channel TEXT NOT NULL, "
    .. "text TEXT NOT NULL, at INTEGER NOT NULL)",
  "CREATE INDEX messages_channel ON messages (tenant, channel, id)",
  "CREATE INDEX messages_at ON messages (at)",
  "CREATE TABLE jobs (entry INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, tenant TEXT NOT NULL, "
    .. "id TEXT NOT NULL, payload TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, "
    .. "given_at INTEGER NOT NULL DEFAULT 0, consumer TEXT)",
  "CREATE INDEX jobs_given ON jobs (queue, given_at, entry)",
  "CREATE TABLE dead_jobs (entry INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, tenant TEXT NOT NULL, "
    .. "id TEXT NOT NULL, payload TEXT NOT NULL, tries INTEGER NOT NULL, why TEXT NOT NULL)",
  "CREATE INDEX dead_jobs_queue ON dead_jobs (queue, entry)",
} }
