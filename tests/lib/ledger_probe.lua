-- ledger_probe.lua: routes with which the tests with faults reach the ledger: a payment, its reading, a transaction.
local answer = require "lib.answer"
local idempotent = require "lib.idempotent"
local pg = require "lib.pg"
local problem = require "lib.problem"
local stores = require "stores"

local probe = {}

-- A payment and an event in one transaction, with the answer to be repeated: each key pays once. Nothing but the key
-- keeps the event from being there twice.
function probe.pay(req)
  local order = req.json.orderId
  local made = answer.json(201, { orderId = order })
  local results, text, name = idempotent.apply(req, {
    { "payment_add", { orderId = order, intentId = "pi_" .. order, amount = 1999, currency = "USD" } },
    { "event_add", order, { kind = "paid", data = {} } },
  }, made, { session = req.session })
  problem.check(results, text, name)
  return made
end

function probe.paid(req)
  local options = { stale = req.query.stale == "yes", session = req.session }
  local payments, text, name = stores.ledger.payments_of_order(req.tenant.id, req.params.order, options)
  return { payments = problem.check(payments, text, name) }
end

-- Until the gate has been opened.
local function await(tenant, gate)
  while problem.check(stores.cache.generation(tenant, "probe:" .. gate)) == 0 do problem.check(sleep(20)) end
end

function probe.open(req)
  problem.check(stores.cache.bump(req.tenant.id, "probe:" .. req.params.gate))
end

-- Moves one unit between two rows in a transaction that waits in between: for others to get in its way, or for a gate.
function probe.transfer(req)
  local from, to, ms, gate = req.json.from, req.json.to, req.json.ms or 0, req.json.gate
  local moved, text, name = pg.transaction({ isolation = req.json.isolation, retry = req.json.retry }, function(tx)
    problem.check(tx.exec("update probe set units = units - 1 where id = $1", from))
    log.warn("probe_waits", { ms = ms }) -- at once in the log, so that a test knows
    if gate then await(req.tenant.id, gate) else sleep(ms) end
    problem.check(tx.exec("update probe set units = units + 1 where id = $1", to))
    return true
  end)
  return { moved = problem.check(moved, text, name) }
end

-- One statement that takes its time.
function probe.nap(req)
  local rows, text, name = pg.query("select pg_sleep($1)::text as slept", tonumber(req.query.seconds))
  problem.check(rows, text, name)
  return { rested = true }
end

return probe
