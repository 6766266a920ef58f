-- queue.lua: what services may expect of `shop.queue`, whatever engine the cache role has.
local tests = {}

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- Works until the condition holds. Nobody else may: another process knows no handlers for these kinds.
local function work_until(t, queue, condition)
  while not condition() do t.works(queue.work_once(0, 0)) end
end

test("a job is done by the handler of its kind, once for its id", function(t, queue)
  local tenant, seen = t.uuid(), {}
  queue.on("test." .. tenant, function(job) seen[#seen + 1] = job end)
  for _ = 1, 2 do t.equal(queue.push(tenant, "test." .. tenant, { to = "x" }, { id = "order-7" }), "order-7") end
  queue.push(tenant, "test." .. tenant, { last = true })
  work_until(t, queue, function() return #seen == 2 end)
  t.equal({ seen[1].id, seen[1].tenant, seen[1].data.to, seen[1].tries }, { "order-7", tenant, "x", 1 })
  t.equal(seen[2].data, { last = true })
end)

test("a job that fails is tried again", function(t, queue)
  local tenant, tries = t.uuid(), {}
  queue.on("test." .. tenant, function(job)
    tries[#tries + 1] = job.tries
    if job.tries < 3 then error("not yet") end
  end)
  queue.push(tenant, "test." .. tenant, {})
  work_until(t, queue, function() return #tries == 3 end)
  t.equal(tries, { 1, 2, 3 })
end)

test("a job that always fails, and one that nobody can do, are dead letters", function(t, queue)
  local tenant = t.uuid()
  queue.on("test." .. tenant, function() error("never") end)
  local ids = { queue.push(tenant, "test." .. tenant, {}), queue.push(tenant, "unknown." .. tenant, {}) }
  local dead = {}
  work_until(t, queue, function()
    for _, message in ipairs(queue.dead(10000)) do dead[message.id] = message end
    return dead[ids[1]] and dead[ids[2]]
  end)
  t.equal({ dead[ids[1]].tries, dead[ids[1]].tenant }, { 5, tenant })
  t.ok(dead[ids[2]].why:find("unknown." .. tenant, 1, true), "the reason names the kind")
end)

return tests
