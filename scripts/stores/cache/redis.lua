-- redis.lua: the cache role on Redis: texts that expire, generations, sessions, and carts changed by compare and swap.
local cart = require "cart"
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

local function get(key, options)
  if not options then return redis.get(key) end
  if options.wait_ms then return redis.within(options.wait_ms, options.stale, "GET", key) end
  return (options.stale and redis.replica or redis).get(key)
end

function store.get(tenant, key, options)
  return get(key_of(tenant, key), options)
end

function store.set(tenant, key, value, ttl_s, options)
  local ttl, text, name = millis(ttl_s)
  if not ttl then return nil, text, name end
  if options and options.wait_ms then
    return done(redis.within(options.wait_ms, false, "SET", key_of(tenant, key), value, "PX", ttl))
  end
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

local NEWER = redis.script [[
local stored = redis.call('GET', KEYS[1])
if stored and (tonumber(string.match(stored, '^%d+')) or -1) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return 1
]]

function store.set_newer(tenant, key, version, value, ttl_s)
  local ttl, text, name = millis(ttl_s)
  if not ttl then return nil, text, name end
  local answer
  answer, text, name = NEWER({ key_of(tenant, key) }, { version, value, ttl })
  if name then return nil, text, name end
  return answer == 1
end

function store.delete(tenant, key)
  return done(redis.del(key_of(tenant, key)))
end

function store.generation(tenant, counter, options)
  local answer, text, name = get(key_of(tenant, "gen:" .. counter), options)
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

store.cart_load, store.cart_save, store.cart_step = cart.load, cart.save, cart.step

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
