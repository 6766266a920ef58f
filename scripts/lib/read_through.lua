-- read_through.lua: reads a value from the cache role, or from where it comes from, and then keeps it there.
--
-- Of the tasks of one process that miss the same key, one loads and the others wait for it. Copies in this process are
-- served only while its subscription to changes is live; whatever a broken one has missed counts as changed. When the
-- cache is away values are loaded each time, and a stale copy stands in when that fails too.
local shortcut = require "lib.shortcut"
local signal = require "signal"
local stores = require "stores"

local read_through = {}

local CHANNEL = "changed"
local COPIES_MOST, FLIGHT_MS, RUN_MS = 1000, 500, 50000
-- Two keys that were cached at the same time do not have to be loaded at the same time again.
local JITTER = 0.1
-- Above every version.
local GONE = 2 ^ 53

-- `stored` is what the cache role holds: JSON, behind its version where there is one.
local copies, count = {}, 0 -- id → { stored, fresh_until, stale_until }
-- id → { signal, over_at, stored, error }. Weak: who loads and who waits hold it. When the client of the one that loads
-- leaves, its script is never resumed, and nothing else would take the entry out again.
local flights = setmetatable({}, { __mode = "v" })
local wanted = {}           -- id → what is to be loaded again in the background
local wake = signal.new()
local listeners = {}
local live = false

local function id_of(tenant, key)
  return tenant .. "\0" .. key
end

local function jittered(seconds)
  return seconds * (1 - JITTER * math.random())
end

-- The JSON and the version, which is digits.
local function split(stored, options)
  if not options.version then return stored end
  local space = stored:find(" ", 1, true)
  return stored:sub(space + 1), stored:sub(1, space - 1)
end

local function decoded(stored, options)
  local value = json.decode((split(stored, options)))
  if value == json.null then return nil end
  return value
end

local function forget_all()
  copies, count = {}, 0
end

-- What is on its way may be older than the change.
local function forget(id)
  copies[id], flights[id] = nil, nil
end

local function remember(id, stored, options)
  if not options.copy then return end
  if not copies[id] then count = count + 1 end
  if count > COPIES_MOST then
    forget_all()
    count = 1
  end
  local fresh_until = clock.now_ms() + jittered(options.ttl_s) * 1000
  copies[id] = { stored = stored, fresh_until = fresh_until, stale_until = fresh_until + (options.stale_s or 0) * 1000 }
end

-- A change between the load and the write would leave the old value behind: the generation tells, and the value goes.
local function put(tenant, key, text, seconds, before)
  shortcut.set(tenant, key, text, seconds)
  if not before or shortcut.generation(tenant, key) == before then return true end
  stores.cache.delete(tenant, key)
  return false
end

-- What was loaded, into the cache and perhaps a copy of it here, unless a change was heard of meanwhile.
local function keep(flight, id, tenant, key, options, before)
  local text, version = split(flight.stored, options)
  local absent = text == "null"
  local seconds = absent and options.negative_s or options.ttl_s
  if absent and not options.negative_s then return end
  if version then return shortcut.set_newer(tenant, key, tonumber(version), text, jittered(seconds)) end
  local kept = put(tenant, key, text, jittered(seconds), before)
  if kept and not absent and flights[id] == flight then remember(id, text, options) end
end

local function stored_of(value, options)
  local text = value == nil and "null" or json.encode(value)
  if not options.version then return text end
  return ("%d %s"):format(value == nil and 0 or options.version(value), text)
end

-- The one that loads; its outcome is that of all who wait, who do not wait for the cache as well. away: the cache has
-- just failed, and is not asked again for this value.
local function lead(id, tenant, key, options, fetch, away)
  local flight = { signal = signal.new() }
  flights[id] = flight
  local before = options.copy and not away and shortcut.generation(tenant, key) or nil
  local ok, value = pcall(fetch, tenant, key)
  if ok then flight.stored = stored_of(value, options) end
  flight.over_at, flight.error = clock.now_ms(), value
  flight.signal:fire()
  if ok and not away then keep(flight, id, tenant, key, options, before) end
  if flights[id] == flight then flights[id] = nil end
  if not ok then error(value, 0) end
  return flight.stored, value
end

-- The one that loads may be gone half way, its time being over: after a while one of those who wait does it.
local function is_gone(flight)
  return flight.over_at and clock.now_ms() - flight.over_at > FLIGHT_MS
end

local function fly(id, ...)
  local flight = flights[id]
  while flight and not is_gone(flight) do
    if flight.over_at or flight.signal:wait(FLIGHT_MS) or flight.over_at then
      if not flight.stored then error(flight.error, 0) end
      return flight.stored
    end
    if flights[id] == flight then break end
    flight = flights[id]
  end
  return lead(id, ...)
end

-- Stale while it is loaded again; nil when there is no copy that may be served.
local function copy_of(id, tenant, key, options, fetch)
  local copy, now = copies[id], clock.now_ms()
  if not copy or not live or now >= copy.stale_until then return nil end
  if now >= copy.fresh_until then
    wanted[id] = { tenant, key, options, fetch }
    wake:fire()
  end
  return copy
end

-- What the cache role holds of a key or would hold, and the value, when it has just been loaded.
local function find(tenant, key, options, fetch)
  local id = options.copy and id_of(tenant, key)
  local copy = id and copy_of(id, tenant, key, options, fetch)
  if copy then return copy.stored end
  local stored, _, failure = shortcut.get(tenant, key, options)
  if stored then
    if id then remember(id, stored, options) end
    return stored
  end
  id = id or id_of(tenant, key)
  local ok, value
  ok, stored, value = pcall(fly, id, tenant, key, options, fetch, failure ~= nil)
  if ok then return stored, value end
  copy = copies[id]
  if not copy or clock.now_ms() >= copy.stale_until then error(stored, 0) end
  return copy.stored
end

-- The value of a key: from a copy, from the cache role, or from fetch(tenant, key), which returns it (plain data, or
-- nil) or raises. options:
--   ttl_s       how long it is kept
--   negative_s  how long it is kept that there is none; not at all unless given
--   copy        keep a copy in this process too; then every change must be told by read_through.changed
--   stale_s     how long the copy may be served beyond ttl_s, while a new one is loaded or cannot be
--   stale       a replica of the cache may answer: for keys whose value never changes
--   version     version(value) is a number that grows with each change: then whoever changes the value puts the new one
--               there with read_through.renew, and who has loaded an older one meanwhile does not overwrite it
function read_through.get(tenant, key, options, fetch)
  local stored, value = find(tenant, key, options, fetch)
  if value ~= nil then return value end
  return decoded(stored, options)
end

-- The same as JSON, as it is kept, and its version's digits; nil when there is none.
function read_through.text(tenant, key, options, fetch)
  local text, version = split((find(tenant, key, options, fetch)), options)
  if text ~= "null" then return text, version end
end

-- Puts the value of a versioned key there after a change, unless there is a newer one; nil after it was removed for
-- good. Returns nil when the cache is away: until options.ttl_s have passed it may hold an older one.
function read_through.renew(tenant, key, options, value)
  local version = value == nil and GONE or options.version(value)
  local text = value == nil and "null" or json.encode(value)
  flights[id_of(tenant, key)] = nil -- what is on its way may be older
  return stores.cache.set_newer(tenant, key, version, text, options.ttl_s)
end

local function tell(tenant, key)
  for _, listener in ipairs(listeners) do listener(tenant, key) end
end

-- Has every process forget the key of a tenant, this one at once. Call it after the change.
function read_through.changed(tenant, key)
  stores.cache.bump(tenant, key)
  stores.cache.delete(tenant, key)
  forget(id_of(tenant, key))
  tell(tenant, key)
  return stores.cache.publish("*", CHANNEL, json.encode { tenant = tenant, key = key })
end

-- listener(tenant, key) is called for every change that is heard of, and with nothing when all may have changed.
function read_through.on_change(listener)
  listeners[#listeners + 1] = listener
end

local function take_in(message)
  local change = message and json.decode(message)
  if not change then
    forget_all()
    for id in pairs(flights) do flights[id] = nil end
    return tell()
  end
  forget(id_of(change.tenant, change.key))
  tell(change.tenant, change.key)
end

local subscription

-- Hears of one change, waiting up to so long for it. Returns nil when it cannot, or not any more.
function read_through.hear(ms)
  subscription = subscription or stores.cache.subscribe("*", CHANNEL)
  if not subscription then return nil end
  local message, is_live, name = subscription:next(ms)
  if name == "timeout" then return false end
  if message == nil then
    subscription:close()
    subscription, live = nil, false
    take_in(nil)
    return nil
  end
  take_in(message)
  live = message ~= false or is_live
  return true
end

-- In the background: hears of changes. What comes between two runs waits in the subscription.
function read_through.follow()
  local until_ms = clock.now_ms() + RUN_MS
  repeat
    local left = until_ms - clock.now_ms()
  until left < 1 or read_through.hear(left) == nil
end

-- Loads again what was served stale; waits up to so long for something to be wanted.
function read_through.refill(ms)
  local id, call = next(wanted)
  if not id then return wake:wait(ms) end
  wanted[id] = nil
  pcall(fly, id, unpack(call, 1, 4))
end

-- In the background: the same, again and again.
function read_through.refresh()
  local until_ms = clock.now_ms() + RUN_MS
  while clock.now_ms() < until_ms do read_through.refill(math.max(1, until_ms - clock.now_ms())) end
end

return read_through
