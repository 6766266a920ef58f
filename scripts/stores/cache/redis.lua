-- redis.lua: the cache role on Redis: texts that expire, generations, sessions, and carts changed by compare and swap.
local millis = require "stores.lib.ttl"
local names = require "stores.lib.names"
local redis = require "lib.redis"

local store = {}

local MONTH_S = 30 * 24 * 3600

local key_of = names.key

-- True for whatever the server answered to a write, or its failure.
local function done(answer, text, name)
  if answer == nil then return nil, text, name end
  return true
end

function store.get(tenant, key, options)
  local commands = options and options.stale and redis.replica or redis
  return commands.get(key_of(tenant, key))
end

function store.set(tenant, key, value, ttl_s)
  local ttl, text, name = millis(ttl_s)
  if not ttl then return nil, text, name end
  return done(redis.set(key_of(tenant, key), value, "PX", ttl))
end

function store.add(tenant, key, value, ttl_s)
  local ttl, text, name = millis(ttl_s)
  if not ttl then return nil, text, name end
  local answer
  answer, text, name = redis.set(key_of(tenant, key), value, "PX", ttl, "NX")
  if name then return nil, text, name end
  return answer ~= nil
end

function store.delete(tenant, key)
  return done(redis.del(key_of(tenant, key)))
end

function store.generation(tenant, counter)
  local answer, text, name = redis.get(key_of(tenant, "gen:" .. counter))
  if name then return nil, text, name end
  return tonumber(answer or 0)
end

function store.bump(tenant, counter)
  return redis.incr(key_of(tenant, "gen:" .. counter))
end

function store.session_get(tenant, id)
  return store.get(tenant, "session:" .. id)
end

function store.session_set(tenant, id, text, ttl_s)
  return store.set(tenant, "session:" .. id, text, ttl_s or MONTH_S)
end

function store.session_delete(tenant, id)
  return store.delete(tenant, "session:" .. id)
end

-- The clock in microseconds as first version: a cart that was deleted and made anew must not meet a version somebody
-- still holds. The first write is one that grows: a Redis without memory refuses it, but after an HDEL it would refuse
-- nothing more.
local SAVE = redis.script [[
local version = redis.call('HGET', KEYS[1], 'version')
if ARGV[1] == '0' then
  if version then return false end
  local time = redis.call('TIME')
  version = time[1] * 1000000 + time[2]
elseif version ~= ARGV[1] then
  return false
else
  version = version + 1
end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))
local unset = tonumber(ARGV[3])
for i = 4, 3 + unset do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = 4 + unset, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return version
]]

local DELETE = redis.script [[
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
]]

local function cart_key(tenant, session)
  return key_of(tenant, "cart:" .. session)
end

local function changed()
  return nil, "the cart has changed since it was read", "precondition_failed"
end

function store.cart_load(tenant, session)
  local fields, text, name = redis.hgetall(cart_key(tenant, session))
  if not fields then return nil, text, name end
  local version = tonumber(fields.version)
  if not version then return nil end
  fields.version = nil
  return { version = version, fields = fields }
end

function store.cart_save(tenant, session, change)
  local ttl, text, name = millis(change.ttl_s)
  if not ttl then return nil, text, name end
  local unset = change.unset or {}
  local arguments = { change.version, ttl, #unset }
  for _, field in ipairs(unset) do arguments[#arguments + 1] = field end
  for field, value in pairs(change.set or {}) do
    arguments[#arguments + 1], arguments[#arguments + 2] = field, value
  end
  local version
  version, text, name = SAVE({ cart_key(tenant, session) }, arguments)
  if name then return nil, text, name end
  if not version then return changed() end
  return version
end

function store.cart_delete(tenant, session, options)
  local version = options and options.version
  if not version then return done(redis.del(cart_key(tenant, session))) end
  local deleted, text, name = DELETE({ cart_key(tenant, session) }, { version })
  if not deleted then return nil, text, name end
  if deleted == 0 then return changed() end
  return true
end

function store.publish(tenant, channel, text)
  return done(redis.publish(key_of(tenant, channel), text))
end

-- An iterator over the channel's texts; false where some may have been missed, first of all when it is live.
function store.subscribe(tenant, channel)
  return redis.subscribe(key_of(tenant, channel), { missed = true })
end

-- Redis forgets by itself what has expired.
function store.sweep()
  return 0
end

local engine = {}

function engine.open()
  local opened = {}
  for _, part in ipairs { store, require "stores.cache.redis_locks", require "stores.cache.redis_queue" } do
    for name, fn in pairs(part) do
      opened[name] = function(first, ...)
        if name ~= "sweep" and (type(first) ~= "string" or first == "") then
          return nil, "the tenant (or the queue) is missing", "invalid"
        end
        return fn(first, ...)
      end
    end
  end
  return opened
end

return engine
