-- read_through.lua: what services may expect of `lib.read_through`, whatever engine the cache role has.
local stores = require "stores"

local tests = {}

-- However slow this machine is, the cache is asked.
local limits = require("lib.shortcut").limits
limits.slow_ms, limits.wait_ms = 600000, 600000

local DAY = 86400

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- A source of values that counts how often it is asked.
local function source(value)
  local self = { asked = 0, value = value }
  function self.fetch()
    self.asked = self.asked + 1
    return self.value
  end
  return self
end

test("a value is loaded once, and kept as JSON under its key", function(t, read_through)
  local tenant, from = t.uuid(), source { name = "My Store", price = decimal.new "29.90", list = json.array {} }
  for _ = 1, 3 do
    local value = read_through.get(tenant, "config", { ttl_s = DAY }, from.fetch)
    t.equal({ value.name, tostring(value.price), json.encode(value.list) }, { "My Store", "29.90", "[]" })
  end
  t.equal(from.asked, 1)
  t.equal(stores.cache.get(tenant, "config"), '{"list":[],"name":"My Store","price":29.90}')
end)

test("of many that miss at once one loads, and all get the value", function(t, read_through)
  local tenant, calls, asked = t.uuid(), {}, 0
  local function slow()
    asked = asked + 1
    for _ = 1, 10 do sleep(1) end
    return { n = asked }
  end
  for i = 1, 40 do
    calls[i] = function() return read_through.get(tenant, "search:1:x", { ttl_s = DAY }, slow) end
  end
  for _, result in ipairs(wait_all(calls)) do t.equal(result[1], { n = 1 }) end
  t.equal(asked, 1)
end)

test("the failure of the one that loads is that of all, and is not kept", function(t, read_through)
  local tenant, calls, asked = t.uuid(), {}, 0
  local function failing()
    asked = asked + 1
    sleep(1)
    error({ code = "unavailable" }, 0)
  end
  for i = 1, 10 do
    calls[i] = function() return read_through.get(tenant, "k", { ttl_s = DAY }, failing) end
  end
  for _, result in ipairs(wait_all(calls)) do t.equal({ result.ok, result.error.code }, { false, "unavailable" }) end
  t.equal(asked, 1)
  local from = source { fine = true }
  t.equal(read_through.get(tenant, "k", { ttl_s = DAY }, from.fetch), { fine = true })
end)

test("an absence is kept when it may be", function(t, read_through)
  local tenant, from = t.uuid(), source(nil)
  for _ = 1, 2 do t.equal(read_through.get(tenant, "a", { ttl_s = DAY }, from.fetch), nil) end
  t.equal(from.asked, 2)
  for _ = 1, 3 do t.equal(read_through.get(tenant, "b", { ttl_s = DAY, negative_s = DAY }, from.fetch), nil) end
  t.equal(from.asked, 3)
end)

-- Runs with the cache's `set` listening in: the seconds that each key was given.
local function with_seconds(run)
  local real, seconds = stores.cache.set, {}
  stores.cache.set = function(tenant, key, text, ttl_s, ...)
    seconds[#seconds + 1] = ttl_s
    return real(tenant, key, text, ttl_s, ...)
  end
  local ok, why = pcall(run)
  stores.cache.set = real
  if not ok then error(why, 0) end
  return seconds
end

test("what is kept at the same time ends at different times, and none late", function(t, read_through)
  local tenant, from, none = t.uuid(), source { n = 1 }, source(nil)
  local seconds = with_seconds(function()
    for i = 1, 30 do
      read_through.get(tenant, "some:" .. i, { ttl_s = 1000 }, from.fetch)
      read_through.get(tenant, "none:" .. i, { ttl_s = 5000, negative_s = 1000 }, none.fetch)
    end
  end)
  local least, most = 1000, 0
  for _, ttl_s in ipairs(seconds) do least, most = math.min(least, ttl_s), math.max(most, ttl_s) end
  t.equal(#seconds, 60)
  t.ok(least >= 900 and most <= 1000, "a tenth at most is missing: " .. least .. " to " .. most)
  t.ok(most - least > 10, "they are spread: " .. least .. " to " .. most)
end)

-- Until this process's subscription is live.
local function follow(t, read_through)
  while true do
    local heard = t.works(read_through.hear(1))
    if not heard then
      local tenant, from = t.uuid(), source { n = 1 }
      local options = { ttl_s = DAY, copy = true }
      read_through.get(tenant, "probe", options, from.fetch)
      t.works(stores.cache.delete(tenant, "probe"))
      read_through.get(tenant, "probe", options, from.fetch)
      if from.asked == 1 then return end
    end
  end
end

test("a copy is served until the change is told", function(t, read_through)
  local tenant, from = t.uuid(), source { n = 1 }
  local options = { ttl_s = DAY, copy = true }
  local function get() return read_through.get(tenant, "config", options, from.fetch).n end
  follow(t, read_through)
  t.equal(get(), 1)
  from.value = { n = 2 }
  t.works(stores.cache.delete(tenant, "config"))
  t.equal(get(), 1, "the copy")
  t.works(read_through.changed(tenant, "config"))
  t.equal(get(), 2, "after the change")
end)

test("a change that another process tells is heard", function(t, read_through)
  local tenant, from, told = t.uuid(), source { n = 1 }, nil
  local options = { ttl_s = DAY, copy = true }
  local function get() return read_through.get(tenant, "config", options, from.fetch).n end
  read_through.on_change(function(whose, key) if whose == tenant then told = key end end)
  follow(t, read_through)
  t.equal(get(), 1)
  from.value = { n = 2 }
  t.works(stores.cache.delete(tenant, "config"))
  t.works(stores.cache.publish("*", "changed", json.encode { tenant = tenant, key = "config" }))
  while not told do t.works(read_through.hear(1000)) end
  t.equal({ told, get() }, { "config", 2 })
end)

test("a value that changes while it is loaded is not kept", function(t, read_through)
  local tenant, asked = t.uuid(), 0
  local options = { ttl_s = DAY, copy = true }
  local function fetch()
    asked = asked + 1
    if asked == 1 then t.works(read_through.changed(tenant, "config")) end
    return { n = asked }
  end
  read_through.get(tenant, "config", options, fetch)
  t.equal(stores.cache.get(tenant, "config"), nil)
  t.equal(read_through.get(tenant, "config", options, fetch), { n = 2 })
end)

test("a stale copy is served while it is loaded again", function(t, read_through)
  local tenant, from = t.uuid(), source { n = 1 }
  local options = { ttl_s = 0.001, copy = true, stale_s = DAY }
  local function get() return read_through.get(tenant, "config", options, from.fetch).n end
  follow(t, read_through)
  t.equal(get(), 1)
  sleep(5)
  from.value = { n = 2 }
  t.equal({ get(), from.asked }, { 1, 1 }, "stale")
  while from.asked == 1 do read_through.refill(1000) end
  options.ttl_s = DAY
  t.equal({ get(), from.asked }, { 2, 2 })
end)

test("a stale copy stands in where nothing can be loaded", function(t, read_through)
  local tenant, from = t.uuid(), source { n = 1 }
  local options = { ttl_s = DAY, copy = true, stale_s = DAY }
  t.equal(read_through.get(tenant, "config", options, from.fetch).n, 1)
  t.works(stores.cache.delete(tenant, "config"))
  t.equal(read_through.get(tenant, "config", options, function() error("away", 0) end).n, 1)
end)

-- A shortcut of its own, whose memory of failures is nobody else's.
local function own_shortcut(wanted)
  local module = package.loaded["lib.shortcut"]
  package.loaded["lib.shortcut"] = nil
  local own = require "lib.shortcut"
  package.loaded["lib.shortcut"] = module
  for name, value in pairs(wanted) do own.limits[name] = value end
  return own
end

-- Runs with stores.cache.get replaced.
local function with_get(get, run)
  local real = stores.cache.get
  stores.cache.get = get
  local ok, why = pcall(run)
  stores.cache.get = real
  if not ok then error(why, 0) end
end

test("a cache that has failed is left alone for a while", function(t)
  local asked = 0
  local own = own_shortcut { rest_ms = 600000 }
  with_get(function()
    asked = asked + 1
    if asked == 1 then return "text" end
    return nil, "it hangs", "timeout"
  end, function()
    t.equal(own.get("t", "k"), "text")
    for _ = 1, 3 do t.ok(select(3, own.get("t", "k")), "a failure") end
    t.equal(asked, 2)
    own.limits.rest_ms = 0
  end)
end)

test("while one waits for a cache that is slow, others do without", function(t)
  local asked, answer = 0, require("signal").new()
  local own = own_shortcut { slow_ms = 5, wait_ms = 600000 }
  with_get(function()
    asked = asked + 1
    answer:wait(600000)
    return "text"
  end, function()
    local results = wait_all {
      function() return own.get("t", "k") end,
      function()
        sleep(20)
        local name = select(3, own.get("t", "k"))
        answer:fire()
        return name
      end,
    }
    t.equal({ results[1][1], results[2][1], asked }, { "text", "unavailable", 1 })
  end)
end)

local VERSIONED = { ttl_s = DAY, negative_s = DAY, version = function(value) return value.version end }

test("a versioned value is served as the JSON that is kept", function(t, read_through)
  local tenant, from = t.uuid(), source { version = 3, name = "Tent" }
  for _ = 1, 2 do
    t.equal({ read_through.text(tenant, "product:p", VERSIONED, from.fetch) }, { '{"name":"Tent","version":3}', "3" })
    t.equal(read_through.get(tenant, "product:p", VERSIONED, from.fetch).name, "Tent")
  end
  t.equal({ from.asked, stores.cache.get(tenant, "product:p") }, { 1, '3 {"name":"Tent","version":3}' })
  from.value = nil
  for _ = 1, 2 do t.equal(read_through.text(tenant, "product:none", VERSIONED, from.fetch), nil) end
  t.equal({ from.asked, stores.cache.get(tenant, "product:none") }, { 2, "0 null" })
end)

test("who has loaded an older version does not bring it back", function(t, read_through)
  local tenant = t.uuid()
  local function write_meanwhile(value)
    return function()
      t.works(read_through.renew(tenant, "product:p", VERSIONED, value))
      return { version = 3 }
    end
  end
  t.equal(read_through.get(tenant, "product:p", VERSIONED, write_meanwhile { version = 4 }).version, 3)
  t.equal(read_through.get(tenant, "product:p", VERSIONED, error).version, 4)
  t.works(read_through.renew(tenant, "product:p", VERSIONED, { version = 2 }))
  t.equal(read_through.get(tenant, "product:p", VERSIONED, error).version, 4)
  t.works(read_through.renew(tenant, "product:p", VERSIONED, nil))
  t.equal(read_through.text(tenant, "product:p", VERSIONED, error), nil)
  t.equal(read_through.renew(tenant, "product:p", VERSIONED, { version = 5 }), false)
end)

return tests
