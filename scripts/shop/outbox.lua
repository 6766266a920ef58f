-- outbox.lua: sends off what transactions of the ledger have left to be done: jobs, and whatever has a handler.
--
-- Entries of one key leave in the order in which they were added: one worker has the key at a time, and an entry that
-- cannot be sent holds up those behind it. Each leaves at least once; what a worker sends a second time, because it
-- died or was too slow in between, has the id that it had the first time.
local problem = require "lib.problem"
local queue = require "shop.queue"
local stores = require "stores"

local outbox = {}

local WORKER = ident.uuid()
local COUNT, LEASE_MS, RUN_MS = 32, 15000, 40000
-- A worker that was slow stops before its lease does, so that it sends nothing behind the next one's.
local MARGIN_MS = 5000
local SWEEP_MS = 1000
local DELAY_MS, DELAY_MOST_MS = 500, 60000

local handlers = {}
local subscription

-- sends = { KIND = send }. send(entry) sends one entry on: { id, tenant (its id), key, kind, payload, tries }. What it
-- raises has the entry tried again, later each time and for good: nothing of its key overtakes it. It should end within
-- seconds, and pass entry.id on, so that whoever gets it recognises a second time.
function outbox.register(sends)
  for kind, send in pairs(sends) do handlers[kind] = send end
end

-- The payload of kind "queue" is a job, { kind, data }: see shop.queue, which does the same id once.
outbox.register {
  queue = function(entry)
    queue.push(entry.tenant, entry.payload.kind, entry.payload.data, { id = entry.id })
  end,
}

-- The entries as lists of one tenant's key each, in order.
local function by_key(entries)
  local groups, known = {}, {}
  for _, entry in ipairs(entries) do
    local name = entry.tenant .. "\0" .. entry.key
    if not known[name] then
      known[name] = {}
      groups[#groups + 1] = known[name]
    end
    table.insert(known[name], entry)
  end
  return groups
end

-- Later each time, and never all at once.
local function delay_of(entry)
  local delay_ms = math.min(DELAY_MOST_MS, DELAY_MS * 2 ^ math.min(entry.tries, 20))
  return math.ceil(delay_ms * (0.75 + math.random() / 4))
end

local function put_off(entry, why)
  log.warn("outbox_failed", { id = entry.id, tenant = entry.tenant, kind = entry.kind, tries = entry.tries,
    error = why })
  local done, text = stores.ledger.outbox_retry(WORKER, entry, { delay_ms = delay_of(entry), why = why })
  if not done then log.warn("outbox_not_put_off", { id = entry.id, tenant = entry.tenant, error = text }) end
end

-- What has been sent but is not known to be comes again, under the same ids, when the lease has run out.
local function finish(sent)
  local count, text = stores.ledger.outbox_done(WORKER, sent)
  if count then return end
  log.warn("outbox_not_done", { id = sent[1].id, tenant = sent[1].tenant, count = #sent, error = text })
end

local function send(entry)
  local handler = handlers[entry.kind]
  if not handler then return false, "there is no handler for " .. tostring(entry.kind) end
  return pcall(handler, entry)
end

-- Sends one key's entries until one fails or the time is up.
local function send_group(group, until_ms)
  local sent = {}
  local failed, why
  for _, entry in ipairs(group) do
    if clock.now_ms() >= until_ms then break end
    local ok, raised = send(entry)
    if not ok then
      failed, why = entry, problem.reason(raised)
      break
    end
    sent[#sent + 1] = entry
  end
  if #sent > 0 then finish(sent) end
  if failed then put_off(failed, why) end
  return #sent
end

-- Sends what is due. Returns how many entries it has taken, or nil when the ledger cannot be reached.
function outbox.work_once()
  local until_ms = clock.now_ms() + LEASE_MS - MARGIN_MS
  local entries = stores.ledger.outbox_take(WORKER, { limit = COUNT, lease_ms = LEASE_MS })
  if not entries then return nil end
  local sends = {}
  for i, group in ipairs(by_key(entries)) do
    sends[i] = function() return send_group(group, until_ms) end
  end
  for _, outcome in ipairs(wait_all(sends)) do
    if not outcome.ok then log.error("outbox_broken", { error = outcome.traceback }) end
  end
  return #entries
end

-- Until something was added, or it is time to look anyhow.
local function rest()
  subscription = subscription or stores.ledger.outbox_watch()
  if not subscription then return sleep(SWEEP_MS) end
  local news, _, name = subscription:next(SWEEP_MS)
  if news ~= nil or name == "timeout" then return end
  subscription:close()
  subscription = nil
  sleep(SWEEP_MS)
end

-- In the background. It ends while there is time for what it has taken, and when the ledger is away; the server starts
-- it again.
function outbox.work()
  local until_ms = clock.now_ms() + RUN_MS
  repeat
    local count = outbox.work_once()
    if count == 0 then rest() end
  until not count or clock.now_ms() >= until_ms
end

-- In the background: tells other processes what this one adds, several entries at once and outside of transactions.
-- Where there is nothing to be told (embedded), it does not ask all the time.
function outbox.announce()
  local until_ms = clock.now_ms() + RUN_MS
  repeat
    local began_ms = clock.now_ms()
    local told, _, name = stores.ledger.outbox_announce()
    if told == nil and name then return end
    if not told and clock.now_ms() - began_ms < SWEEP_MS / 2 then sleep(RUN_MS) end
  until clock.now_ms() >= until_ms
end

return outbox
