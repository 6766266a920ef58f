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

test("a job that always fails, and one that nobody can do, are dead letters", function(t, queue)
  local tenant = t.uuid()
  queue.register { ["test." .. tenant] = function() error("never") end }
  local ids = { queue.push(tenant, "test." .. tenant, {}), queue.push(tenant, "unknown." .. tenant, {}) }
  local dead = {}
  work_until(t, queue, function()
    for _, message in ipairs(queue.dead(10000)) do dead[message.id] = message end
    return dead[ids[1]] and dead[ids[2]]
  end)
  t.equal({ dead[ids[1]].tries, dead[ids[1]].tenant }, { 5, tenant })
  t.ok(dead[ids[2]].why:find("unknown." .. tenant, 1, true), "the reason names the kind")
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
