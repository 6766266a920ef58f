-- sqlite_locks.lua: locks with an owner and a fencing number, and rate limits, each in one statement.
local bucket = require "stores.lib.bucket"
local millis = require "stores.lib.ttl"

local locks = {}

-- The row outlives the lock, so that the number only grows; after the sweep has taken it, the clock is ahead of it.
local LOCK = "INSERT INTO locks (tenant, name, owner, fence, expires_at) "
  .. "VALUES (?, ?, ?, now_ms(), now_ms() + ?) ON CONFLICT (tenant, name) DO UPDATE SET owner = excluded.owner, "
  .. "fence = max(locks.fence + 1, excluded.fence), expires_at = excluded.expires_at "
  .. "WHERE locks.expires_at <= now_ms() RETURNING fence"
local RENEW = "UPDATE locks SET expires_at = now_ms() + ? "
  .. "WHERE tenant = ? AND name = ? AND owner = ? AND expires_at > now_ms()"

function locks.lock(db, tenant, name, ttl_s)
  local ttl, text, why = millis(ttl_s)
  if not ttl then return nil, text, why end
  local token = ident.token(16)
  local results
  results, text, why = db:transaction { { LOCK, { tenant, name, token, ttl } } }
  if not results then return nil, text, why end
  local row = results[1].rows[1]
  return row and { token = token, fence = row.fence }
end

local function renew(db, tenant, name, token, ttl)
  local changes, text, why = db:exec(RENEW, { ttl, tenant, name, token })
  if not changes then return nil, text, why end
  return changes == 1
end

function locks.renew(db, tenant, name, token, ttl_s)
  local ttl, text, why = millis(ttl_s)
  if not ttl then return nil, text, why end
  return renew(db, tenant, name, token, ttl)
end

function locks.unlock(db, tenant, name, token)
  return renew(db, tenant, name, token, 0)
end

-- GCRA: the row is the time at which the bucket is full again. excluded.full_at_us is now and one interval.
local TAKE = "INSERT INTO rates (tenant, route, full_at_us) VALUES (?, ?, now_ms() * 1000 + ?) "
  .. "ON CONFLICT (tenant, route) DO UPDATE SET full_at_us = max(rates.full_at_us + ?, excluded.full_at_us) "
  .. "WHERE max(rates.full_at_us + ?, excluded.full_at_us) <= excluded.full_at_us - ? + ? RETURNING 1"
-- One that is further ahead than it can be was made under another limit.
local CLAMP = "UPDATE rates SET full_at_us = now_ms() * 1000 + ? "
  .. "WHERE tenant = ? AND route = ? AND full_at_us > now_ms() * 1000 + ?"
local LOOK = "SELECT max(full_at_us - now_ms() * 1000, 0) AS used_us FROM rates WHERE tenant = ? AND route = ?"

function locks.take(db, tenant, route, options)
  local wanted, text, name = bucket.of(options)
  if not wanted then return nil, text, name end
  local interval = wanted.interval_us
  local room = interval * wanted.burst
  local results
  results, text, name = db:transaction {
    { CLAMP, { room, tenant, route, room } },
    { TAKE, { tenant, route, interval, interval, interval, interval, room } },
    { LOOK, { tenant, route } },
  }
  if not results then return nil, text, name end
  return wanted:verdict(#results[2].rows == 1, results[3].rows[1].used_us)
end

return locks
