-- queue.lua: what services may expect of `shop.queue`, whatever engine the cache role has.
local tests = {}

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- Works until the condition holds. Nobody else may: another process knows no handlers for these kinds.
local function work_until(t, queue, condition, claim_ms)
  while not condition() do t.works(queue.work_once(0, claim_ms or 0)) end
end

-- Jobs that are taken together run side by side, in no order; one that is pushed later is taken no earlier. Nobody else
-- may claim what is being done, or the same would be done twice on a machine that is slow.
test("a job is done by the handler of its kind, once for its id", function(t, queue)
  local tenant, seen, last = t.uuid(), {}, false
  queue.register { ["test." .. tenant] = function(job)
    seen[#seen + 1] = job
    last = last or job.data.last
  end }
  for _ = 1, 2 do t.equal(queue.push(tenant, "test." .. tenant, { to = "x" }, { id = "order-7" }), "order-7") end
  work_until(t, queue, function() return #seen > 0 end, 60000)
  queue.push(tenant, "test." .. tenant, { last = true })
  work_until(t, queue, function() return last end, 60000)
  t.equal(#seen, 2)
  t.equal({ seen[1].id, seen[1].tenant, seen[1].data.to, seen[1].tries }, { "order-7", tenant, "x", 1 })
  t.equal(seen[2].data, { last = true })
end)

test("a job that fails is tried again", function(t, queue)
  local tenant, tries = t.uuid(), {}
  queue.register { ["test." .. tenant] = function(job)
    tries[#tries + 1] = job.tries
    if job.tries < 3 then error("not yet") end
  end }
  queue.push(tenant, "test." .. tenant, {})
  work_until(t, queue, function() return #tries == 3 end)
  t.equal(tries, { 1, 2, 3 })
end)

local function dead_of(queue, id)
  for _, message in ipairs(queue.dead(10000)) do
    if message.id == id then return message end
  end
end

test("a job that always fails is a dead letter", function(t, queue)
  local tenant, dead = t.uuid(), nil
  queue.register { ["test." .. tenant] = function() error("never") end }
  local id = queue.push(tenant, "test." .. tenant, {})
  work_until(t, queue, function()
    dead = dead_of(queue, id)
    return dead
  end)
  t.equal({ dead.tries, dead.tenant }, { 5, tenant })
end)

-- The lines of one event of one kind that are logged while run() runs.
local function lines_of(event, kind, run)
  local logs, warn, count = log, log.warn, 0
  rawset(logs, "warn", function(name, fields)
    if name == event and fields.kind == kind then count = count + 1 end
    return warn(name, fields)
  end)
  local ok, why = pcall(run)
  rawset(logs, "warn", warn)
  if not ok then error(why, 0) end
  return count
end

test("a job of an unknown kind is left to who knows it, and counts no tries", function(t, queue)
  local tenant, rounds, tries = t.uuid(), 0, {}
  local kind = "newer." .. tenant
  local ids = { queue.push(tenant, kind, { n = 1 }), queue.push(tenant, kind, { n = 2 }) }
  t.equal(lines_of("job_unknown", kind, function()
    work_until(t, queue, function()
      rounds = rounds + 1
      return rounds > 12
    end)
  end), 1, "lines that say so")
  for _, id in ipairs(ids) do t.equal({ dead_of(queue, id) }, {}) end
  queue.register { [kind] = function(job) tries[job.data.n] = job.tries end }
  work_until(t, queue, function() return tries[1] and tries[2] end)
  t.equal(tries, { 1, 1 })
end)

test("a job of a kind that nobody has known for a day is a dead letter", function(t, queue)
  local tenant, dead = t.uuid(), nil
  local kind, stores = "unknown." .. tenant, require "stores"
  local payload = json.encode { kind = kind, data = {}, at = clock.now_ms() - 25 * 3600 * 1000 }
  local id = t.works(stores.cache.queue_push(tenant, "jobs", payload))
  work_until(t, queue, function()
    dead = dead_of(queue, id)
    return dead
  end)
  t.equal(dead.tries, 1)
  t.ok(dead.why:find(kind, 1, true) and dead.why:find("day", 1, true), "the reason names the kind and the time:")
end)

test("a handler says what becomes of a job", function(t, queue)
  local tenant, tries = t.uuid(), 0
  queue.register {
    ["later." .. tenant] = function()
      tries = tries + 1
      return tries < 2 and "later" or nil
    end,
    ["never." .. tenant] = function() return "never", "it is too late" end,
  }
  queue.push(tenant, "later." .. tenant, {})
  local never, dead = queue.push(tenant, "never." .. tenant, {}), nil
  work_until(t, queue, function()
    for _, message in ipairs(queue.dead(10000)) do if message.id == never then dead = message end end
    return dead and tries == 2
  end)
  t.equal({ dead.tries, dead.why }, { 1, "it is too late" })
end)

test("of two with one id that are taken together one is done", function(t, queue)
  local tenant, seen, last = t.uuid(), 0, false
  queue.register {
    ["slow." .. tenant] = function()
      seen = seen + 1
      sleep(20)
    end,
    ["last." .. tenant] = function() last = true end,
  }
  for _ = 1, 3 do queue.push(tenant, "slow." .. tenant, {}, { id = "same" }) end
  t.works(queue.work_once(0, 60000))
  queue.push(tenant, "last." .. tenant, {})
  work_until(t, queue, function() return last end)
  t.equal(seen, 1)
end)

return tests
