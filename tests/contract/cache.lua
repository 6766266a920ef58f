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

test("of versions the highest stays", function(t, store)
  local tenant, calls = t.uuid(), {}
  t.equal(store.set_newer(tenant, "product:p", 9, "nine", DAY), true)
  t.equal(store.get(tenant, "product:p"), "9 nine")
  t.equal(store.set_newer(tenant, "product:p", 9, "again", DAY), false)
  t.equal(store.set_newer(tenant, "product:p", 8, "eight", DAY), false)
  t.equal(store.set_newer(tenant, "product:p", 10, "ten 11", DAY), true)
  for i = 1, 20 do
    calls[i] = function() return store.set_newer(tenant, "product:q", i % 7, tostring(i % 7), DAY) end
  end
  for _, result in ipairs(wait_all(calls)) do t.ok(result.ok and type(result[1]) == "boolean", "an answer") end
  t.equal({ store.get(tenant, "product:p"), store.get(tenant, "product:q") }, { "10 ten 11", "6 6" })
  t.equal(store.set_newer(tenant, "product:p", 2 ^ 53, "gone", 0.001), true)
  until_equal(t, nil, function() return (store.get(tenant, "product:p")) end)
  t.equal(store.set_newer(tenant, "product:p", 0, "anew", DAY), true)
  t.works(store.set(tenant, "product:p", "no version", DAY))
  t.equal(store.set_newer(tenant, "product:p", 1, "one", DAY), true)
  t.fails("invalid", store.set_newer(tenant, "product:p", 2, "two", 0))
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
  t.fails("invalid", store.cart_save(tenant, "s", { version = v1 + 0.5, set = { a = "2" }, ttl_s = DAY }))
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

test("a session is kept for its shopper alone", function(t, store)
  local tenant, id = t.uuid(), t.uuid()
  t.equal(store.session_get(tenant, id), nil)
  t.equal(store.session_set(tenant, id, '{"userId":"u"}'), true)
  t.equal(store.session_get(tenant, id), '{"userId":"u"}')
  t.equal(store.session_get(t.uuid(), id), nil)
  t.equal(store.get(tenant, "session:" .. id), '{"userId":"u"}', "the same key")
  t.equal(store.session_delete(tenant, id), true)
  t.equal(store.session_get(tenant, id), nil)
  t.works(store.session_set(tenant, id, "short", 0.001))
  until_equal(t, nil, function() return (store.session_get(tenant, id)) end)
end)

test("one of many gets a lock, and only the owner gives it back", function(t, store)
  local tenant, calls = t.uuid(), {}
  for i = 1, 20 do calls[i] = function() return store.lock(tenant, "stock:p", DAY) end end
  local owner
  for _, result in ipairs(wait_all(calls)) do
    t.ok(result.ok and result[3] == nil, "an answer")
    t.ok(not (owner and result[1]), "one owner")
    owner = owner or result[1]
  end
  t.ok(owner, "an owner")
  t.equal(store.unlock(tenant, "stock:p", "another"), false)
  t.equal(store.lock(tenant, "stock:p", DAY), nil)
  t.ok(store.lock(t.uuid(), "stock:p", DAY), "another tenant's")
  t.equal(store.unlock(tenant, "stock:p", owner.token), true)
  t.equal(store.unlock(tenant, "stock:p", owner.token), false)
  local after = t.works(store.lock(tenant, "stock:p", DAY))
  t.ok(after.fence > owner.fence and after.token ~= owner.token, "a new owner with a higher number")
end)

test("a lock that was not renewed passes on, with a higher number", function(t, store)
  local tenant = t.uuid()
  local first = t.works(store.lock(tenant, "l", 0.001))
  local second
  until_equal(t, true, function()
    second = second or store.lock(tenant, "l", DAY)
    return second ~= nil
  end)
  t.ok(second.fence > first.fence, "the number grows")
  t.equal(store.renew(tenant, "l", first.token, DAY), false)
  t.equal(store.unlock(tenant, "l", first.token), false)
  t.equal(store.renew(tenant, "l", second.token, 0.001), true)
  local third
  until_equal(t, true, function()
    third = third or store.lock(tenant, "l", DAY)
    return third ~= nil
  end)
  t.ok(third.fence > second.fence, "the number grows")
  t.fails("invalid", store.lock(tenant, "l", 0))
end)

test("a rate lets through what it says, of any number at once", function(t, store)
  local tenant, calls, allowed = t.uuid(), {}, 0
  local rate = { limit = 10, window_s = DAY }
  for i = 1, 40 do calls[i] = function() return store.take(tenant, "/api/products", rate) end end
  for _, result in ipairs(wait_all(calls)) do
    local verdict = t.works(result[1], result[2], result[3])
    t.equal(verdict.limit, 10)
    if verdict.allowed then
      allowed = allowed + 1
      t.equal(verdict.retry_s, 0)
    else
      t.equal(verdict.remaining, 0)
      t.ok(verdict.retry_s >= 1 and verdict.retry_s <= DAY / 10 and verdict.reset_s <= DAY, "when to come back")
    end
  end
  t.equal(allowed, 10)
  t.equal(store.take(tenant, "/api/cart", rate).remaining, 9)
  t.equal(store.take(t.uuid(), "/api/products", rate).allowed, true)
end)

test("a rate's burst is its own, and it fills again", function(t, store)
  local tenant = t.uuid()
  local rate = { limit = 1000, window_s = 1, burst = 2 }
  t.equal(store.take(tenant, "r", rate).remaining, 1)
  until_equal(t, 1, function() return store.take(tenant, "r", rate).remaining end)
  t.equal(store.take(tenant, "c", { limit = 1, window_s = DAY }).allowed, true)
  until_equal(t, true, function() return store.take(tenant, "c", rate).allowed end)
  local slow = { limit = 1, window_s = DAY, burst = 2 }
  t.equal(store.take(tenant, "s", slow).allowed, true)
  t.equal(store.take(tenant, "s", slow).allowed, true)
  t.equal(store.take(tenant, "s", slow).allowed, false)
  t.fails("invalid", store.take(tenant, "r", { limit = 0, window_s = 1 }))
  t.fails("invalid", store.take(tenant, "r", { limit = 1, window_s = 0 }))
  t.fails("invalid", store.take(tenant, "r", { limit = 1, window_s = 1, burst = 1e15 }))
end)

test("what is published reaches the channel's subscribers in order", function(t, store)
  local tenant = t.uuid()
  local one, other = t.works(store.subscribe(tenant, "changed")), t.works(store.subscribe(tenant, "changed"))
  local stranger = t.works(store.subscribe(t.uuid(), "changed"))
  for _, subscription in ipairs { one, other, stranger } do t.equal(subscription(), false, "it is live") end
  t.equal(store.publish(tenant, "else", "x"), true)
  for i = 1, 3 do t.equal(store.publish(tenant, "changed", "m" .. i), true) end
  for _, subscription in ipairs { one, other } do
    local seen = {}
    for text in subscription do
      seen[#seen + 1] = text
      if #seen == 3 then break end
    end
    t.equal(seen, { "m1", "m2", "m3" })
    subscription:close()
  end
  t.fails("timeout", stranger:next(100))
  stranger:close()
end)

test("a subscriber that waits gets what is published meanwhile", function(t, store)
  local tenant = t.uuid()
  local subscription = t.works(store.subscribe(tenant, "c"))
  t.equal(subscription(), false)
  local results = wait_all {
    function() return subscription() end,
    function() return store.publish(tenant, "c", "zwei \0 é") end,
  }
  t.equal({ results[1][1], results[2][1] }, { "zwei \0 é", true })
  subscription:close()
end)

test("what is pushed is taken once, in order, and is gone when acknowledged", function(t, store)
  local tenant, queue = t.uuid(), "q" .. t.uuid()
  t.equal(store.queue_take(queue, "w1"), {})
  t.equal(store.queue_push(tenant, queue, "one", { id = "a" }), "a")
  t.equal(store.queue_push(tenant, queue, "zwei \0 é", { id = "b" }), "b")
  t.ok(#t.works(store.queue_push(tenant, queue, "three")) > 8, "an id of its own")
  local taken = t.works(store.queue_take(queue, "w1", { count = 2 }))
  t.equal(t.pluck(taken, "id"), { "a", "b" })
  t.equal(t.pluck(taken, "payload"), { "one", "zwei \0 é" })
  t.equal({ taken[1].tenant, taken[1].tries }, { tenant, 1 })
  local rest = t.works(store.queue_take(queue, "w2"))
  t.equal(t.pluck(rest, "payload"), { "three" })
  for _, message in ipairs(taken) do t.equal(store.queue_ack(queue, message), true) end
  t.equal(store.queue_ack(queue, rest[1]), true)
  t.equal(store.queue_take(queue, "w1", { claim_ms = 0 }), {})
end)

test("of consumers side by side each gets its own", function(t, store)
  local tenant, queue, calls, seen = t.uuid(), "q" .. t.uuid(), {}, {}
  for i = 1, 30 do t.works(store.queue_push(tenant, queue, "p", { id = tostring(i) })) end
  for i = 1, 10 do calls[i] = function() return store.queue_take(queue, "w" .. i, { count = 3 }) end end
  for _, result in ipairs(wait_all(calls)) do
    for _, message in ipairs(t.works(result[1], result[2], result[3])) do
      t.ok(not seen[message.id], "given to one")
      seen[message.id] = true
    end
  end
  for i = 1, 30 do t.ok(seen[tostring(i)], "all are given") end
end)

test("what a consumer left is given to the next, and in the end to the dead letters", function(t, store)
  local tenant, queue = t.uuid(), "q" .. t.uuid()
  t.works(store.queue_push(tenant, queue, "work", { id = "j" }))
  for tries = 1, 3 do
    local taken = t.works(store.queue_take(queue, "w" .. tries, { claim_ms = 0, tries = 3 }))
    t.equal({ #taken, taken[1].id, taken[1].tries }, { 1, "j", tries })
  end
  t.equal(store.queue_take(queue, "w", { claim_ms = 0, tries = 3 }), {})
  local dead = t.works(store.queue_dead(queue))
  t.equal({ #dead, dead[1].id, dead[1].tenant, dead[1].payload, dead[1].tries }, { 1, "j", tenant, "work", 3 })
  t.ok(#dead[1].why > 0, "a reason")
  t.equal(store.queue_take(queue, "w", { claim_ms = 0 }), {})
end)

test("what is given back has not been given out, and comes when it is due", function(t, store)
  local tenant, queue = t.uuid(), "test." .. t.uuid()
  local id = t.works(store.queue_push(tenant, queue, "a"))
  local claim_ms = 600000
  local taken = t.works(store.queue_take(queue, "w1", { claim_ms = claim_ms }))[1]
  t.equal(store.queue_release(queue, "w1", taken, { claim_ms = claim_ms, delay_ms = claim_ms }), true)
  t.equal(store.queue_take(queue, "w2", { claim_ms = claim_ms }), {})
  taken = t.works(store.queue_take(queue, "w2", { claim_ms = 0 }))[1]
  t.equal({ taken.id, taken.tries }, { id, 1 })
  t.equal(store.queue_release(queue, "w2", taken, { claim_ms = claim_ms, delay_ms = 0 }), true)
  taken = t.works(store.queue_take(queue, "w1", { claim_ms = claim_ms }))[1]
  t.equal({ taken.id, taken.tries, taken.payload }, { id, 1, "a" })
  t.equal(store.queue_ack(queue, taken), true)
  t.equal(store.queue_take(queue, "w1", { claim_ms = 0 }), {})
end)

test("a consumer can give a message up at once", function(t, store)
  local tenant, queue = t.uuid(), "q" .. t.uuid()
  t.works(store.queue_push(tenant, queue, "work", { id = "j" }))
  local taken = t.works(store.queue_take(queue, "w"))
  t.equal(store.queue_bury(queue, taken[1], "no handler"), true)
  t.equal(t.works(store.queue_dead(queue))[1].why, "no handler")
  t.equal(store.queue_take(queue, "w", { claim_ms = 0 }), {})
end)

test("a consumer waits for work, up to its time", function(t, store)
  local tenant, queue = t.uuid(), "q" .. t.uuid()
  t.equal(store.queue_take(queue, "w", { wait_ms = 30 }), {})
  local results = wait_all {
    function() return store.queue_take(queue, "w", { wait_ms = 30000 }) end,
    function() return store.queue_push(tenant, queue, "work", { id = "j" }) end,
  }
  t.equal(t.pluck(t.works(results[1][1], results[1][2]), "id"), { "j" })
end)

test("who is in a hurry says so", function(t, cache)
  local tenant, hurry = t.uuid(), { wait_ms = 60000 }
  t.works(cache.set(tenant, "k", "v", 60, hurry))
  t.equal({ cache.get(tenant, "k", hurry), cache.get(tenant, "k", { wait_ms = 60000, stale = true }) }, { "v", "v" })
  t.works(cache.bump(tenant, "g"))
  t.equal(cache.generation(tenant, "g", hurry), 1)
end)

return tests
