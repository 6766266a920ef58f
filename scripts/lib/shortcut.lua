-- shortcut.lua: the cache role where it only saves time: asked for a moment, and once it has failed not for a while.
--
-- A request that could do without it must not wait for a server that hangs as long as one that cannot.
local stores = require "stores"

local shortcut = {}

-- An answer takes less than a millisecond. What has waited for slow_ms keeps others from asking, what has waited for
-- wait_ms gives up. rest_ms is longer than a driver needs to see that its server is gone: after it, failures are told
-- at once.
shortcut.limits = { slow_ms = 15, wait_ms = 500, rest_ms = 2000 }

local limits = shortcut.limits
-- What the engine is told: wait_ms, and that a replica will do.
local STALE = setmetatable({ stale = true }, { __index = limits })
local rests_until, has_failed = 0, false
-- How many ask, and since when without an answer to anyone.
local asking, silent_since = 0, 0

-- After a failure one asks, and no other until it knows. One that was cancelled never comes back to be counted: what is
-- silent for longer than anyone waits is forgotten.
local function is_slow(now)
  if asking == 0 then return false end
  if now - silent_since > 2 * limits.wait_ms then asking = 0 end
  return asking > 0 and (has_failed or now - silent_since > limits.slow_ms)
end

local function settle(value, text, name)
  local now = clock.now_ms()
  asking, silent_since = math.max(0, asking - 1), now
  has_failed = value == nil and name ~= nil
  if has_failed then rests_until = now + limits.rest_ms end
  return value, text, name
end

local function ask(call, ...)
  local now = clock.now_ms()
  if now < rests_until or is_slow(now) then return nil, "the cache does not answer", "unavailable" end
  if asking == 0 then silent_since = now end
  asking = asking + 1
  return settle(call(...))
end

-- As in the contract; a failure says that it is to be done without.
function shortcut.get(tenant, key, options)
  return ask(stores.cache.get, tenant, key, options and options.stale and STALE or limits)
end

function shortcut.set(tenant, key, text, ttl_s)
  return ask(stores.cache.set, tenant, key, text, ttl_s, limits)
end

function shortcut.set_newer(tenant, key, version, text, ttl_s)
  return ask(stores.cache.set_newer, tenant, key, version, text, ttl_s)
end

function shortcut.generation(tenant, name)
  return ask(stores.cache.generation, tenant, name, limits)
end

return shortcut
