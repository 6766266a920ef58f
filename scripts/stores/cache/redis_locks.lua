-- redis_locks.lua: locks with an owner and a fencing number, each one script on one key; and rate limits' buckets.
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

locks.take = bucket.take

return locks
