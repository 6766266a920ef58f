-- redis_locks.lua: locks with an owner and a fencing number, and rate limits, each one script on one key.
local bucket = require "stores.lib.bucket"
local millis = require "stores.lib.ttl"
local names = require "stores.lib.names"
local redis = require "lib.redis"

local locks = {}

local DAY_MS = 24 * 3600 * 1000

-- The number outlives the lock for a day; after that, and after a loss of data, the clock is ahead of it.
local LOCK = redis.script [[
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now then return false end
local fence = math.max(tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) + 1, now)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', string.format('%.0f', fence),
  'until', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
return fence
]]

-- ARGV[2] is the time from now; 0 gives the lock up.
local RENEW = redis.script [[
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] ~= ARGV[1] or tonumber(held[2]) <= now then return 0 end
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], 'owner', 'until')
else
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[2]))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
return 1
]]

function locks.lock(tenant, name, ttl_s)
  local ttl, text, why = millis(ttl_s)
  if not ttl then return nil, text, why end
  local token = ident.token(16)
  local fence
  fence, text, why = LOCK({ names.lock(tenant, name) }, { token, ttl, DAY_MS })
  if not fence then return nil, text, why end
  return { token = token, fence = fence }
end

function locks.renew(tenant, name, token, ttl_s)
  local ttl, text, why = millis(ttl_s)
  if not ttl then return nil, text, why end
  local renewed
  renewed, text, why = RENEW({ names.lock(tenant, name) }, { token, ttl, DAY_MS })
  if not renewed then return nil, text, why end
  return renewed == 1
end

function locks.unlock(tenant, name, token)
  local freed, text, why = RENEW({ names.lock(tenant, name) }, { token, 0, DAY_MS })
  if not freed then return nil, text, why end
  return freed == 1
end

-- GCRA: the String is the time, in microseconds, at which the bucket is full again; one that is further ahead than it
-- can be was made under another limit.
local TAKE = redis.script [[
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, room = tonumber(ARGV[1]), ARGV[1] * ARGV[2]
local stored = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
local full_at = math.max(math.min(stored, now + room), now)
local allowed = full_at + interval <= now + room
if allowed then full_at = full_at + interval end
if allowed or full_at < stored then
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
end
return { allowed and 1 or 0, full_at - now }
]]

function locks.take(tenant, route, options)
  local wanted, text, name = bucket.of(options)
  if not wanted then return nil, text, name end
  local answer
  answer, text, name = TAKE({ names.key(tenant, "ratelimit:" .. route) }, { wanted.interval_us, wanted.burst })
  if not answer then return nil, text, name end
  return wanted:verdict(answer[1] == 1, answer[2])
end

return locks
