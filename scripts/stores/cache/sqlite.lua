-- sqlite.lua: the cache role on SQLite: texts that expire, generations, sessions, and carts by compare and swap.
local cart = require "cart"
local database = require "stores.lib.database"
local locks = require "stores.cache.sqlite_locks"
local messages = require "stores.cache.sqlite_messages"
local millis = require "stores.lib.ttl"
local queue = require "stores.cache.sqlite_queue"
local tables = require "stores.cache.sqlite_tables"

local SWEEP_BATCH = 500
local MONTH_S = 30 * 24 * 3600
local DAY_MS = 24 * 3600 * 1000

local GET = "SELECT value FROM texts WHERE tenant = ? AND key = ? AND expires_at > now_ms()"
local SET = "INSERT INTO texts (tenant, key, value, expires_at) VALUES (?, ?, ?, now_ms() + ?) "
  .. "ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"
local ADD = SET .. " WHERE texts.expires_at <= now_ms()"
-- A text that begins with a number is that number here.
local NEWER = ADD .. " OR CAST(texts.value AS INTEGER) < CAST(excluded.value AS INTEGER)"
local GENERATION = "SELECT n FROM generations WHERE tenant = ? AND name = ?"
local BUMP = "INSERT INTO generations (tenant, name, n) VALUES (?, ?, 1) "
  .. "ON CONFLICT (tenant, name) DO UPDATE SET n = n + 1 RETURNING n"
local FORGET_EXPIRED = "DELETE FROM carts WHERE tenant = ? AND session = ? AND expires_at <= now_ms()"

local store = {}

function store.get(db, tenant, key)
  local rows, text, name = db:query(GET, { tenant, key })
  if not rows then return nil, text, name end
  return rows[1] and rows[1].value
end

function store.set(db, tenant, key, value, ttl_s)
  local ttl, text, name = millis(ttl_s)
  if not ttl then return nil, text, name end
  local done
  done, text, name = db:exec(SET, { tenant, key, value, ttl })
  if not done then return nil, text, name end
  return true
end

local function set_if(db, statement, tenant, key, value, ttl_s)
  local ttl, text, name = millis(ttl_s)
  if not ttl then return nil, text, name end
  local changes
  changes, text, name = db:exec(statement, { tenant, key, value, ttl })
  if not changes then return nil, text, name end
  return changes == 1
end

function store.add(db, tenant, key, value, ttl_s)
  return set_if(db, ADD, tenant, key, value, ttl_s)
end

function store.set_newer(db, tenant, key, version, value, ttl_s)
  return set_if(db, NEWER, tenant, key, ("%d %s"):format(version, value), ttl_s)
end

function store.delete(db, tenant, key)
  local done, text, name = db:exec("DELETE FROM texts WHERE tenant = ? AND key = ?", { tenant, key })
  if not done then return nil, text, name end
  return true
end

function store.session_get(db, tenant, id)
  return store.get(db, tenant, "session:" .. id)
end

function store.session_set(db, tenant, id, text, ttl_s)
  return store.set(db, tenant, "session:" .. id, text, ttl_s or MONTH_S)
end

function store.session_delete(db, tenant, id)
  return store.delete(db, tenant, "session:" .. id)
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

function store.cart_load(_, tenant, session)
  return cart.load(tenant, session)
end

function store.cart_save(_, tenant, session, change)
  return cart.save(tenant, session, change)
end

function store.cart_step(_, tenant, session)
  return cart.step(tenant, session)
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

-- What is swept: a table, its key, and when a row is over. A lock's row keeps its number for a day, a message is kept
-- for who looks late.
local OVER = {
  { "texts", "tenant, key", "expires_at <= now_ms()" },
  { "carts", "tenant, session", "expires_at <= now_ms()" },
  { "locks", "tenant, name", "expires_at <= now_ms() - " .. DAY_MS },
  { "rates", "tenant, route", "full_at_us <= now_ms() * 1000" },
  { "messages", "id", "at <= now_ms() - " .. messages.KEPT_MS },
}

-- In small transactions, so that a sweep never keeps a cart waiting for long.
local function sweep_table(db, name, key, over)
  local sum = 0
  repeat
    local changes, text, why = db:exec(("DELETE FROM %s WHERE (%s) IN (SELECT %s FROM %s WHERE %s LIMIT ?)")
      :format(name, key, key, name, over), { SWEEP_BATCH })
    if not changes then return nil, text, why end
    sum = sum + changes
  until changes < SWEEP_BATCH
  return sum
end

local function sweep(db)
  local sum = 0
  for _, entry in ipairs(OVER) do
    local count, text, name = sweep_table(db, unpack(entry))
    if not count then return nil, text, name end
    sum = sum + count
  end
  return sum
end

local function functions_of(file)
  local all = { publish = messages.publish, subscribe = messages.subscriber(file) }
  for _, part in ipairs { store, locks, queue } do
    for name, fn in pairs(part) do all[name] = fn end
  end
  return all
end

local engine = {}

-- A store on the file of this name; the file is opened on first use. What is lost in a power cut was only cached.
function engine.open(file)
  local open = database.lazy(file, nil, tables)
  local opened = {}
  for name, fn in pairs(functions_of(file)) do
    opened[name] = function(tenant, ...)
      if type(tenant) ~= "string" or tenant == "" then return nil, "the tenant (or the queue) is missing", "invalid" end
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
