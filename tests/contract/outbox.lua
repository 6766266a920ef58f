-- outbox.lua: what every engine's outbox must do; alone, because it counts what waits.
local tests = {}

local LEASE, SHORT = 600000, 1

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

local function entry(key, n)
  return { key = key, kind = "email", payload = { n = n } }
end

-- What this test has added; what an earlier one has left is out of the way then.
local function take_own(t, store, worker, tenant, options)
  local own = {}
  for _, taken in ipairs(t.works(store.outbox_take(worker, options))) do
    if taken.tenant == tenant then own[#own + 1] = taken end
  end
  return own
end

test("an entry that is put off holds its key back", function(t, store)
  local tenant, key, name, other = t.uuid(), "k" .. t.uuid(), "w" .. t.uuid(), "w" .. t.uuid()
  local ids = {}
  for n = 1, 3 do ids[n] = t.works(store.outbox_add(tenant, entry(key, n))) end
  local free = t.works(store.outbox_add(tenant, entry("f" .. t.uuid(), 1)))
  local own = take_own(t, store, name, tenant, { limit = 1000, lease_ms = LEASE })
  t.equal(#own, 4)
  t.equal({ own[1].id, own[2].id, own[3].id, own[4].id, own[1].tries }, { ids[1], ids[2], ids[3], free, 1 })
  t.equal(take_own(t, store, other, tenant, { limit = 1000, lease_ms = LEASE }), {})
  t.equal(t.works(store.outbox_done(name, { own[1] })), 1)
  t.fails("precondition_failed", store.outbox_retry(other, own[2], { delay_ms = 0 }))
  t.equal(store.outbox_retry(name, own[2], { delay_ms = LEASE, why = "no answer" }), true)
  t.equal(take_own(t, store, other, tenant, { limit = 1000, lease_ms = LEASE }), {})
  t.equal(t.works(store.outbox_done(name, { own[3], own[4] })), 1, "the third is not its own any more")
  local later = t.works(store.outbox_add(tenant, entry(key, 4)))
  t.equal(take_own(t, store, other, tenant, { limit = 1000, lease_ms = LEASE }), {})
  t.ok(later, "an id")
end)

test("an entry comes back when it is due, or its worker has left it", function(t, store)
  local tenant, key, name, other = t.uuid(), "k" .. t.uuid(), "w" .. t.uuid(), "w" .. t.uuid()
  for n = 1, 2 do t.works(store.outbox_add(tenant, entry(key, n))) end
  local own = take_own(t, store, name, tenant, { limit = 1000, lease_ms = LEASE })
  t.works(store.outbox_retry(name, own[1], { delay_ms = 1 }))
  local function take_two(worker, lease_ms)
    return t.until_so("both come", function()
      local taken = take_own(t, store, worker, tenant, { limit = 1000, lease_ms = lease_ms })
      return #taken > 0 and taken
    end)
  end
  local again = take_two(name, SHORT)
  t.equal({ #again, again[1].payload.n, again[1].tries, again[2].payload.n }, { 2, 1, 2, 2 })
  local left = take_two(other, LEASE)
  t.equal({ #left, left[1].id, left[1].tries }, { 2, own[1].id, 3 })
  t.equal(store.outbox_done(name, again), 0)
  t.equal(store.outbox_done(other, left), 2)
end)

test("only what was tried counts as a try", function(t, store)
  local tenant, key, name = t.uuid(), "k" .. t.uuid(), "w" .. t.uuid()
  for n = 1, 3 do t.works(store.outbox_add(tenant, entry(key, n))) end
  local function take_all()
    return t.until_so("they come", function()
      local taken = take_own(t, store, name, tenant, { limit = 1000, lease_ms = LEASE })
      return #taken > 0 and taken
    end)
  end
  for try = 1, 3 do
    local own = take_all()
    t.equal(t.pluck(own, "tries"), { try, 1, 1 })
    t.equal(store.outbox_retry(name, own[1], { delay_ms = 0, why = "no answer" }), true)
  end
  local own = take_all()
  t.equal(store.outbox_done(name, { own[1] }), 1)
  t.equal(store.outbox_retry(name, own[2], { delay_ms = 0, why = "no answer" }), true)
  own = take_all()
  t.equal(t.pluck(own, "tries"), { 2, 1 }, "the second was tried behind the first")
  t.equal(store.outbox_done(name, own), 2)
end)

test("a key goes on when an entry is deleted by hand", function(t, store)
  local tenant, key, name = t.uuid(), "k" .. t.uuid(), "w" .. t.uuid()
  local ids = {}
  for n = 1, 3 do ids[n] = t.works(store.outbox_add(tenant, entry(key, n))) end
  local sql = ("DELETE FROM outbox WHERE id IN ('%s', '%s')"):format(ids[1], ids[2])
  if package.loaded["postgres.native"] then t.equal(require("lib.pg").tenant(tenant).exec(sql), 2)
  else t.equal(require("sqlite").open "ledger":exec(sql), 2) end
  local own = take_own(t, store, name, tenant, { limit = 1000, lease_ms = LEASE })
  t.equal(t.pluck(own, "id"), { ids[3] })
  t.equal(store.outbox_done(name, own), 1)
  local after = t.works(store.outbox_add(tenant, entry(key, 4)))
  own = take_own(t, store, name, tenant, { limit = 1000, lease_ms = LEASE })
  t.equal(t.pluck(own, "id"), { after })
  t.equal(store.outbox_done(name, own), 1)
end)

test("an outbox entry has one id", function(t, store)
  local tenant, id = t.uuid(), t.uuid()
  t.equal(store.outbox_add(tenant, { key = "k", kind = "x", payload = {}, id = id }), id)
  t.fails("conflict", store.outbox_add(tenant, { key = "k", kind = "x", payload = {}, id = id }))
  t.fails("invalid", store.outbox_add(tenant, { key = "k", kind = "x" }))
  local size = t.works(store.outbox_size())
  t.ok(size.count >= 1 and size.oldest > 1.6e12, "a size")
end)

test("who watches the outbox is woken", function(t, store)
  local tenant = t.uuid()
  local watch = t.works(store.outbox_watch())
  t.equal(watch(), false, "what was before may have been missed")
  local results = wait_all {
    function() return watch:next(30000) end,
    function() return store.outbox_add(tenant, entry("k", 1)) end,
    function() return store.outbox_announce() ~= nil end,
  }
  t.equal(results[1][1], true)
  watch:close()
  t.fails("closed", watch:next(10))
end)

-- Runs with every statement of lib.pg noted: those that are alone, and those of one transaction.
local function with_notes(pg, run)
  local query, with = pg.query, pg["with"]
  local alone, joined = {}, {}
  local function note(list, sql) if sql:find "pg_notify" then list[#list + 1] = sql end end
  pg.query = function(sql, ...)
    note(alone, sql)
    return query(sql, ...)
  end
  pg["with"] = function(options)
    local made = with(options)
    return setmetatable({ batch = function(batch)
      for _, statement in ipairs(batch) do note(joined, statement[1]) end
      return made.batch(batch)
    end }, { __index = made })
  end
  local ok, why = pcall(run)
  pg.query, pg["with"] = query, with
  if not ok then error(why, 0) end
  return #alone, #joined
end

-- A NOTIFY inside of a transaction would make all commits of the database wait for each other.
test("what many transactions have added is told once, outside of them", function(t, store)
  if not package.loaded["postgres.native"] then return end
  while t.works(store.outbox_announce()) do sleep(1) end -- what earlier tests have left
  local tenant, calls = t.uuid(), {}
  for n = 1, 20 do calls[n] = function() return store.outbox_add(tenant, entry("k" .. n, n)) end end
  local alone, joined = with_notes(require "lib.pg", function()
    for _, result in ipairs(wait_all(calls)) do t.works(result[1], result[2], result[3]) end
    t.equal(store.outbox_announce(), true)
    t.equal(store.outbox_announce(), false, "nothing is left to tell")
  end)
  t.equal({ alone, joined }, { 1, 0 })
end)

return tests
