-- sqlite_locks.lua: locks with an owner and a fencing number, each in one statement; and rate limits' buckets.
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

function locks.take(_, tenant, route, options)
  return bucket.take(tenant, route, options)
end

return locks
