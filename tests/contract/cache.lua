-- cache.lua: what every engine of the cache role must do.
local tests = {}

local DAY = 86400

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- Asks again until the answer is the wanted one; what expires does so on the engine's clock, not on ours.
local function until_equal(t, want, ask)
  for _ = 1, 1000 do
    if ask() == want then return end
    sleep(10)
  end
  t.equal(ask(), want)
end

test("a text is kept, replaced and deleted", function(t, store)
  local tenant = t.uuid()
  local value, text, name = store.get(tenant, "k")
  t.equal({ value, text, name }, {})
  t.equal(store.set(tenant, "k", "one", DAY), true)
  t.equal(store.get(tenant, "k"), "one")
  t.equal(store.set(tenant, "k", "zwei \0 é", DAY), true)
  t.equal(store.get(tenant, "k"), "zwei \0 é")
  t.equal(store.delete(tenant, "k"), true)
  t.equal(store.get(tenant, "k"), nil)
  t.equal(store.delete(tenant, "k"), true)
end)

test("tenants do not see each other", function(t, store)
  local one, two = t.uuid(), t.uuid()
  t.works(store.set(one, "k", "mine", DAY))
  t.equal(store.get(two, "k"), nil)
  t.equal(store.bump(one, "g"), 1)
  t.equal(store.generation(two, "g"), 0)
  t.works(store.cart_save(one, "s", { version = 0, set = { a = "1" }, ttl_s = DAY }))
  t.equal(store.cart_load(two, "s"), nil)
end)

test("only one of many adds a key", function(t, store)
  local tenant, calls = t.uuid(), {}
  for i = 1, 20 do calls[i] = function() return store.add(tenant, "lock", tostring(i), DAY) end end
  local won = 0
  for _, result in ipairs(wait_all(calls)) do
    t.ok(result.ok and type(result[1]) == "boolean", "an answer")
    if result[1] then won = won + 1 end
  end
  t.equal(won, 1)
  t.works(store.delete(tenant, "lock"))
  t.equal(store.add(tenant, "lock", "again", DAY), true)
end)

test("what has expired is gone and may be added again", function(t, store)
  local tenant = t.uuid()
  t.works(store.set(tenant, "short", "x", 0.001))
  t.works(store.set(tenant, "long", "y", DAY))
  until_equal(t, nil, function() return (store.get(tenant, "short")) end)
  t.equal(store.get(tenant, "long"), "y")
  t.equal(store.add(tenant, "short", "z", DAY), true)
  t.equal(store.add(tenant, "short", "w", DAY), false)
  t.equal(store.get(tenant, "short"), "z")
end)

test("a time to live must be above 0", function(t, store)
  local tenant = t.uuid()
  t.fails("invalid", store.set(tenant, "k", "x", 0))
  t.fails("invalid", store.set(tenant, "k", "x"))
  t.fails("invalid", store.cart_save(tenant, "s", { version = 0, set = {} }))
end)

test("a sweep deletes what has expired and nothing else", function(t, store)
  local tenant = t.uuid()
  t.works(store.set(tenant, "short", "x", 0.001))
  t.works(store.cart_save(tenant, "short", { version = 0, set = { a = "1" }, ttl_s = 0.001 }))
  t.works(store.set(tenant, "long", "y", DAY))
  until_equal(t, nil, function() return (store.get(tenant, "short")) end)
  until_equal(t, nil, function() return (store.cart_load(tenant, "short")) end)
  t.ok(t.works(store.sweep()) >= 0, "a count")
  t.equal(store.get(tenant, "long"), "y")
end)

test("generations only grow, and no bump is lost", function(t, store)
  local tenant, calls = t.uuid(), {}
  t.equal(store.generation(tenant, "search"), 0)
  for i = 1, 25 do calls[i] = function() return store.bump(tenant, "search") end end
  local seen = {}
  for _, result in ipairs(wait_all(calls)) do
    t.ok(result.ok and not seen[result[1]], "each bump has a number of its own")
    seen[result[1]] = true
  end
  t.equal(store.generation(tenant, "search"), 25)
end)

test("a cart is saved field by field", function(t, store)
  local tenant = t.uuid()
  t.equal(store.cart_load(tenant, "s"), nil)
  local v1 = t.works(store.cart_save(tenant, "s", { version = 0, set = { a = "1", b = "2" }, ttl_s = DAY }))
  t.equal(store.cart_load(tenant, "s"), { version = v1, fields = { a = "1", b = "2" } })
  local v2 = t.works(store.cart_save(tenant, "s", { version = v1, set = { b = "3", c = "4" }, unset = { "a", "z" },
    ttl_s = DAY }))
  t.ok(v2 > v1, "the version grows")
  t.equal(store.cart_load(tenant, "s"), { version = v2, fields = { b = "3", c = "4" } })
  local v3 = t.works(store.cart_save(tenant, "s", { version = v2, unset = { "b", "c" }, ttl_s = DAY }))
  t.equal(store.cart_load(tenant, "s"), { version = v3, fields = {} })
end)

test("a stale version changes nothing", function(t, store)
  local tenant = t.uuid()
  t.fails("precondition_failed", store.cart_save(tenant, "s", { version = 7, set = { a = "1" }, ttl_s = DAY }))
  local v1 = t.works(store.cart_save(tenant, "s", { version = 0, set = { a = "1" }, ttl_s = DAY }))
  t.fails("precondition_failed", store.cart_save(tenant, "s", { version = 0, set = { a = "2" }, ttl_s = DAY }))
  local v2 = t.works(store.cart_save(tenant, "s", { version = v1, set = { a = "3" }, ttl_s = DAY }))
  t.fails("precondition_failed", store.cart_save(tenant, "s", { version = v1, unset = { "a" }, ttl_s = DAY }))
  t.fails("precondition_failed", store.cart_delete(tenant, "s", { version = v1 }))
  t.equal(store.cart_load(tenant, "s"), { version = v2, fields = { a = "3" } })
end)

test("of savers side by side exactly one wins each version", function(t, store)
  local tenant, sum = t.uuid(), 0
  local function add_one()
    for _ = 1, 200 do
      local cart = store.cart_load(tenant, "s") or { version = 0, fields = { n = "0" } }
      local n = tostring(tonumber(cart.fields.n) + 1)
      local version, text, name = store.cart_save(tenant, "s", { version = cart.version, set = { n = n }, ttl_s = DAY })
      if version then return true end
      if name ~= "precondition_failed" then return t.works(version, text, name) end
    end
  end
  for _, result in ipairs(wait_all { add_one, add_one, add_one, add_one, add_one }) do
    if result.ok and result[1] then sum = sum + 1 end
  end
  t.equal({ sum, store.cart_load(tenant, "s").fields.n }, { 5, "5" })
end)

test("a deleted cart is gone, and its versions do not come back", function(t, store)
  local tenant = t.uuid()
  t.equal(store.cart_delete(tenant, "s"), true)
  local v1 = t.works(store.cart_save(tenant, "s", { version = 0, set = { a = "1" }, ttl_s = DAY }))
  t.equal(store.cart_delete(tenant, "s", { version = v1 }), true)
  t.equal(store.cart_load(tenant, "s"), nil)
  sleep(2)
  local v2 = t.works(store.cart_save(tenant, "s", { version = 0, set = { b = "2" }, ttl_s = DAY }))
  t.ok(v2 ~= v1, "a new version")
  t.fails("precondition_failed", store.cart_save(tenant, "s", { version = v1, set = { a = "3" }, ttl_s = DAY }))
  t.equal(store.cart_load(tenant, "s").fields, { b = "2" })
end)

test("an expired cart starts anew", function(t, store)
  local tenant = t.uuid()
  local v1 = t.works(store.cart_save(tenant, "s", { version = 0, set = { a = "1" }, ttl_s = 0.001 }))
  until_equal(t, nil, function() return (store.cart_load(tenant, "s")) end)
  t.fails("precondition_failed", store.cart_save(tenant, "s", { version = v1, set = { a = "2" }, ttl_s = DAY }))
  t.works(store.cart_save(tenant, "s", { version = 0, set = { b = "1" }, ttl_s = DAY }))
  t.equal(store.cart_load(tenant, "s").fields, { b = "1" })
end)

return tests
