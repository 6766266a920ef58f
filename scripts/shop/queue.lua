-- queue.lua: work that is done later, by whichever worker has time: emails and other jobs, by kind.
--
-- A job is done at least once: a worker that dies in the middle leaves it to another one. What was done is remembered
-- by the job's id, so that the second time nothing happens; a handler that reaches out (an email) passes job.id on, for
-- the moment between doing it and remembering.
local problem = require "lib.problem"
local stores = require "stores"

local queue = {}

local NAME, CONSUMER = "jobs", "workers"
local COUNT, WAIT_MS, CLAIM_MS, TRIES = 10, 5000, 90000, 5
local RUN_MS, WEEK_S = 45000, 7 * 24 * 3600

local handlers = {}

-- handler(job) does one job of this kind: { id, tenant (its id), kind, data, tries }. What it raises has the job tried
-- again later, five times in all; then it is a dead letter.
function queue.on(kind, handler)
  handlers[kind] = handler
end

-- Puts a job in the queue and returns its id. data is plain. The same id is done once: { id = "order-7:confirmation" }.
function queue.push(tenant_id, kind, data, options)
  local payload = json.encode { kind = kind, data = data }
  return problem.check(stores.cache.queue_push(tenant_id, NAME, payload, options))
end

-- What was given up, oldest first: { id, tenant, payload, tries, why }.
function queue.dead(count)
  return problem.check(stores.cache.queue_dead(NAME, { count = count }))
end

local function bury(message, why)
  log.error("job_dead", { id = message.id, tenant = message.tenant, why = why })
  problem.check(stores.cache.queue_bury(NAME, message, why))
end

local function run(message)
  local payload = json.decode(message.payload) or {}
  local handler = handlers[payload.kind]
  if not handler then return bury(message, "there is no handler for " .. tostring(payload.kind)) end
  local done = "done:" .. message.id
  if not problem.check(stores.cache.get(message.tenant, done)) then
    local ok, why = pcall(handler, { id = message.id, tenant = message.tenant, kind = payload.kind,
      data = payload.data, tries = message.tries })
    if not ok then
      log.warn("job_failed", { id = message.id, tenant = message.tenant, kind = payload.kind, tries = message.tries,
        error = tostring(type(why) == "table" and why.json and why.json.detail or why) })
      return
    end
    problem.check(stores.cache.set(message.tenant, done, "1", WEEK_S))
  end
  problem.check(stores.cache.queue_ack(NAME, message))
end

-- Does what waits in the queue, waiting up to wait_ms for some. Returns how many jobs it has looked at, or nil when
-- the queue cannot be reached. claim_ms: see the contract.
function queue.work_once(wait_ms, claim_ms)
  local taken = stores.cache.queue_take(NAME, CONSUMER,
    { count = COUNT, wait_ms = wait_ms, claim_ms = claim_ms or CLAIM_MS, tries = TRIES })
  if not taken then return nil end
  for _, message in ipairs(taken) do run(message) end
  return #taken
end

-- In the background. It ends while there is time for what it has taken, and when the queue is away; the server starts
-- it again.
function queue.work()
  local until_ms = clock.now_ms() + RUN_MS
  repeat
    local count = queue.work_once(WAIT_MS)
  until not count or clock.now_ms() >= until_ms
end

return queue
