-- sqlite.lua: the cache role on SQLite: texts that expire, generations, and carts changed by compare and swap.
local database = require "stores.lib.database"

-- now_ms() is the driver's clock: one clock decides what has expired, whoever asks.
local STEPS = { {
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
} }

local SWEEP_BATCH = 500

local GET = "SELECT value FROM texts WHERE tenant = ? AND key = ? AND expires_at > now_ms()"
local SET = "INSERT INTO texts (tenant, key, value, expires_at) VALUES (?, ?, ?, now_ms() + ?) "
  .. "ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"
local ADD = SET .. " WHERE texts.expires_at <= now_ms()"
local GENERATION = "SELECT n FROM generations WHERE tenant = ? AND name = ?"
local BUMP = "INSERT INTO generations (tenant, name, n) VALUES (?, ?, 1) "
  .. "ON CONFLICT (tenant, name) DO UPDATE SET n = n + 1 RETURNING n"
local LOAD = "SELECT c.version, f.name, f.value FROM carts c LEFT JOIN cart_fields f "
  .. "ON f.tenant = c.tenant AND f.session = c.session "
  .. "WHERE c.tenant = ? AND c.session = ? AND c.expires_at > now_ms()"
local FORGET_EXPIRED = "DELETE FROM carts WHERE tenant = ? AND session = ? AND expires_at <= now_ms()"
-- The clock as first version: a cart that was deleted and made anew must not meet a version somebody still holds.
local CREATE = "INSERT INTO carts (tenant, session, version, expires_at) VALUES (?, ?, now_ms(), now_ms() + ?) "
  .. "ON CONFLICT (tenant, session) DO NOTHING RETURNING version"
local ADVANCE = "UPDATE carts SET version = version + 1, expires_at = now_ms() + ? "
  .. "WHERE tenant = ? AND session = ? AND version = ? AND expires_at > now_ms() RETURNING version"
local SET_FIELD = "INSERT INTO cart_fields (tenant, session, name, value) VALUES (?, ?, ?, ?) "
  .. "ON CONFLICT (tenant, session, name) DO UPDATE SET value = excluded.value"
local UNSET_FIELD = "DELETE FROM cart_fields WHERE tenant = ? AND session = ? AND name = ?"

local store = {}

local function millis(ttl_s)
  return type(ttl_s) == "number" and ttl_s > 0 and math.ceil(ttl_s * 1000) or nil
end

local function no_ttl()
  return nil, "the time to live is not a number of seconds above 0", "invalid"
end

function store.get(db, tenant, key)
  local rows, text, name = db:query(GET, { tenant, key })
  if not rows then return nil, text, name end
  return rows[1] and rows[1].value
end

function store.set(db, tenant, key, value, ttl_s)
  local ttl = millis(ttl_s)
  if not ttl then return no_ttl() end
  local done, text, name = db:exec(SET, { tenant, key, value, ttl })
  if not done then return nil, text, name end
  return true
end

function store.add(db, tenant, key, value, ttl_s)
  local ttl = millis(ttl_s)
  if not ttl then return no_ttl() end
  local changes, text, name = db:exec(ADD, { tenant, key, value, ttl })
  if not changes then return nil, text, name end
  return changes == 1
end

function store.delete(db, tenant, key)
  local done, text, name = db:exec("DELETE FROM texts WHERE tenant = ? AND key = ?", { tenant, key })
  if not done then return nil, text, name end
  return true
end

function store.generation(db, tenant, counter)
  local rows, text, name = db:query(GENERATION, { tenant, counter })
  if not rows then return nil, text, name end
  return rows[1] and rows[1].n or 0
end

function store.bump(db, tenant, counter)
  local results, text, name = db:transaction { { BUMP, { tenant, counter } } }
  if not results then return nil, text, name end
  return results[1].rows[1].n
end

function store.cart_load(db, tenant, session)
  local rows, text, name = db:query(LOAD, { tenant, session })
  if not rows then return nil, text, name end
  if not rows[1] then return nil end
  local fields = {}
  for _, row in ipairs(rows) do
    if row.name then fields[row.name] = row.value end
  end
  return { version = rows[1].version, fields = fields }
end

local function claim(tenant, session, version, ttl)
  if version == 0 then
    return { { FORGET_EXPIRED, { tenant, session } }, { CREATE, { tenant, session, ttl }, expect = 1 } }
  end
  return { { ADVANCE, { ttl, tenant, session, version }, expect = 1 } }
end

-- The version is claimed first: when it is not the expected one, the whole unit is undone.
function store.cart_save(db, tenant, session, change)
  local ttl = millis(change.ttl_s)
  if not ttl then return no_ttl() end
  local unit = claim(tenant, session, change.version, ttl)
  local claimed = #unit
  for _, field in ipairs(change.unset or {}) do unit[#unit + 1] = { UNSET_FIELD, { tenant, session, field } } end
  for field, value in pairs(change.set or {}) do
    unit[#unit + 1] = { SET_FIELD, { tenant, session, field, value } }
  end
  local results, text, name = db:transaction(unit)
  if results then return results[claimed].rows[1].version end
  if name == "precondition_failed" then text = "the cart has changed since it was read" end
  return nil, text, name
end

function store.cart_delete(db, tenant, session, options)
  local version = options and options.version
  local unit = { { FORGET_EXPIRED, { tenant, session } } }
  if version then
    unit[2] = { "DELETE FROM carts WHERE tenant = ? AND session = ? AND version = ?", { tenant, session, version },
      expect = 1 }
  else
    unit[2] = { "DELETE FROM carts WHERE tenant = ? AND session = ?", { tenant, session } }
  end
  local results, text, name = db:transaction(unit)
  if results then return true end
  if name == "precondition_failed" then text = "the cart has changed since it was read" end
  return nil, text, name
end

-- In small transactions, so that a sweep never keeps a cart waiting for long.
local function sweep_table(db, name, key)
  local sum = 0
  repeat
    local changes, text, why = db:exec(("DELETE FROM %s WHERE (tenant, %s) IN (SELECT tenant, %s FROM %s "
      .. "WHERE expires_at <= now_ms() LIMIT ?)"):format(name, key, key, name), { SWEEP_BATCH })
    if not changes then return nil, text, why end
    sum = sum + changes
  until changes < SWEEP_BATCH
  return sum
end

local function sweep(db)
  local texts, text, name = sweep_table(db, "texts", "key")
  if not texts then return nil, text, name end
  local carts
  carts, text, name = sweep_table(db, "carts", "session")
  if not carts then return nil, text, name end
  return texts + carts
end

local engine = {}

-- A store on the file of this name; the file is opened on first use. What is lost in a power cut was only cached.
function engine.open(file)
  local open = database.lazy(file, nil, STEPS)
  local opened = {}
  for name, fn in pairs(store) do
    opened[name] = function(tenant, ...)
      if type(tenant) ~= "string" or tenant == "" then return nil, "the tenant is missing", "invalid" end
      local db, text, why = open()
      if not db then return nil, text, why end
      return fn(db, tenant, ...)
    end
  end
  function opened.sweep()
    local db, text, why = open()
    if not db then return nil, text, why end
    return sweep(db)
  end
  return opened
end

return engine
