-- read_through.lua: what services may expect of `lib.read_through`, whatever engine the cache role has.
local stores = require "stores"

local tests = {}

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

return tests
