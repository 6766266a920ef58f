-- queue.lua: work that is done later, by whichever worker has time: emails and other jobs, by kind.
--
-- A job is done at least once: a worker that dies in the middle leaves it to another one. What was done is remembered
-- by the job's id, so that the second time nothing happens; a handler that reaches out (an email) passes job.id on, for
-- the moment between doing it and remembering.
local problem = require "lib.problem"
local stores = require "stores"

local queue = {}

local CONSUMER = "workers"
local COUNT, WAIT_MS = 10, 5000
-- A job has JOB_MS: whoever has taken it must be through before another one may (CLAIM_MS), and before the run that it
-- belongs to is ended by the server, after a minute.
queue.JOB_MS = 20000
local RUN_MS, CLAIM_MS = 30000, 90000
local WEEK_S = 7 * 24 * 3600
local DOING, DONE, LOOK_MS = "doing", "1", 200
-- A job of a kind that is not known here is left to others, which may be newer, or are yet to come: for a day. It is
-- looked at again soon, and less often the longer it waits.
local UNKNOWN_MS, SOON_MS, RARER = 24 * 3600 * 1000, 5000, 10

-- Kinds with a queue of their own do not wait for others. tries: how often, CLAIM_MS apart, a job is given out before
-- it is a dead letter.
local JOBS = { name = "jobs", tries = 5 }
local OWN = { email = { name = "email", tries = 4800 } } -- five days, as mail servers do

local handlers = {}

-- jobs = { KIND = run } or { KIND = { run = run, ready = ready } }, as main.lua lists them. run(job) does one job:
-- { id, tenant (its id), kind, data, tries }, within JOB_MS. What it raises has the job tried again later. Instead it
-- may return "later", for the same without a line in the log, or "never" and why: a dead letter at once. ready():
-- whether jobs of a kind with a queue of its own can be done here at all.
function queue.register(jobs)
  for kind, job in pairs(jobs) do handlers[kind] = type(job) == "table" and job or { run = job } end
end

local function queue_of(kind)
  return OWN[kind] or JOBS
end

-- Puts a job in the queue and returns its id. data is plain. The same id is done once: { id = "order-7:confirmation" }.
function queue.push(tenant_id, kind, data, options)
  local payload = json.encode { kind = kind, data = data, at = clock.now_ms() }
  return problem.check(stores.cache.queue_push(tenant_id, queue_of(kind).name, payload, options))
end

-- What was given up, oldest first: { id, tenant, payload, tries, why }. kind: of those with a queue of their own.
function queue.dead(count, kind)
  return problem.check(stores.cache.queue_dead(queue_of(kind).name, { count = count }))
end

local function bury(name, message, why)
  log.error("job_dead", { id = message.id, tenant = message.tenant, why = why })
  problem.check(stores.cache.queue_bury(name, message, why))
end

local told = {}

-- It was not tried, and must not count as if it had been.
local function leave(name, message, payload, claim_ms)
  local kind, waited_ms = tostring(payload.kind), clock.now_ms() - (payload.at or 0)
  if waited_ms > UNKNOWN_MS then
    return bury(name, message, ("no server that took it in a day has a handler for %s"):format(kind))
  end
  if not told[kind] then log.warn("job_unknown", { id = message.id, tenant = message.tenant, kind = kind }) end
  told[kind] = true
  local delay_ms = math.floor(math.max(SOON_MS, waited_ms / RARER))
  problem.check(stores.cache.queue_release(name, CONSUMER, message, { claim_ms = claim_ms, delay_ms = delay_ms }))
end

-- Returns what became of a job: "done", "later", "never" and why.
local function attempt(handler, message, payload)
  local ok, outcome, why = pcall(handler.run, { id = message.id, tenant = message.tenant, kind = payload.kind,
    data = payload.data, tries = message.tries })
  if ok then return outcome or "done", why end
  log.warn("job_failed", { id = message.id, tenant = message.tenant, kind = payload.kind, tries = message.tries,
    error = problem.reason(outcome) })
  return "later"
end

-- Whether it is this worker's to do. What is done already is recognised and leaves the queue; what another one does
-- under the same id is waited for, as long as a job may take.
local function begin(name, message, claim_ms)
  local key, until_ms = "done:" .. message.id, clock.now_ms() + queue.JOB_MS
  local seconds = math.max(1, math.ceil(claim_ms / 1000))
  repeat
    if problem.check(stores.cache.add(message.tenant, key, DOING, seconds)) then return true end
    if problem.check(stores.cache.get(message.tenant, key)) == DONE then
      log.info("job_repeated", { id = message.id, tenant = message.tenant })
      problem.check(stores.cache.queue_ack(name, message))
      return false
    end
    sleep(LOOK_MS)
  until clock.now_ms() >= until_ms
  return false
end

local function run(name, message, claim_ms)
  local payload = json.decode(message.payload) or {}
  local handler = handlers[payload.kind]
  if not handler then return leave(name, message, payload, claim_ms) end
  if not begin(name, message, claim_ms) then return end
  local outcome, why = attempt(handler, message, payload)
  if outcome == "done" then
    problem.check(stores.cache.set(message.tenant, "done:" .. message.id, DONE, WEEK_S))
    return problem.check(stores.cache.queue_ack(name, message))
  end
  problem.check(stores.cache.delete(message.tenant, "done:" .. message.id))
  if outcome == "never" then bury(name, message, why) end
end

-- Side by side, so that a slow one keeps nobody waiting beyond the time that a job has.
local function run_all(name, taken, claim_ms)
  local runs = {}
  for i, message in ipairs(taken) do runs[i] = function() run(name, message, claim_ms) end end
  for i, outcome in ipairs(wait_all(runs)) do
    if not outcome.ok then
      log.warn("job_left", { id = taken[i].id, tenant = taken[i].tenant, error = problem.reason(outcome.error) })
    end
  end
end

-- Does what waits in a queue, waiting up to wait_ms for some. Returns how many jobs it has looked at, or nil when the
-- queue cannot be reached. claim_ms: see the contract. kind: as for queue.dead.
function queue.work_once(wait_ms, claim_ms, kind)
  local own = queue_of(kind)
  claim_ms = claim_ms or CLAIM_MS
  local taken = stores.cache.queue_take(own.name, CONSUMER,
    { count = COUNT, wait_ms = wait_ms, claim_ms = claim_ms, tries = own.tries })
  if not taken then return nil end
  if #taken > 0 then run_all(own.name, taken, claim_ms) end
  return #taken
end

local function is_ready(kind)
  local handler = handlers[kind]
  return not handler or not handler.ready or handler.ready()
end

-- In the background. It ends while there is time for what it has taken, and when the queue is away; the server starts
-- it again.
function queue.work(kind)
  local until_ms = clock.now_ms() + RUN_MS
  repeat
    if not is_ready(kind) then return end
    local count = queue.work_once(WAIT_MS, nil, kind)
  until not count or clock.now_ms() >= until_ms
end

return queue
