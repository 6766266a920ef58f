-- ledger_race.lua: one of several processes that do the same to the ledger at once; says as JSON what it got.
--
-- perigee script tests/lib/ledger_race.lua ACT TENANT ARGUMENT…
local stores = require "stores"

local act, tenant = arg[1], arg[2]
local LEASE_MS = 600000

-- What was not carried out, because a pooler was out of connections or the like, is tried again.
local ledger = setmetatable({}, { __index = function(_, name)
  return function(...)
    for _ = 1, 200 do
      local result, text, why = stores.ledger[name](...)
      if why ~= "unavailable" and why ~= "busy" then return result, text, why end
      sleep(50)
    end
    error(name .. " was not carried out in ten seconds")
  end
end })

local acts = {}

-- n calls of run at once; how often each of the words that it answers came.
local function tally(n, run)
  local calls, counts = {}, {}
  for i = 1, n do calls[i] = function() return run(i) end end
  for _, result in ipairs(wait_all(calls)) do
    local word = result.ok and result[1] or tostring(result[1])
    counts[word] = (counts[word] or 0) + 1
  end
  return counts
end

-- `calls` calls claim each of `keys` keys: how many got each.
function acts.claim(keys, calls)
  local new = {}
  for key = 1, keys do
    new[key] = tally(calls, function()
      local verdict, text = ledger.key_claim(tenant, { caller = "c", route = "r", key = "k" .. key, hash = "h",
        lease_ms = LEASE_MS })
      return verdict and verdict.state or text
    end)
  end
  return json.array(new)
end

-- `calls` refunds of `amount` each.
function acts.refund(payment, calls, amount)
  return tally(calls, function()
    local refund, _, name = ledger.refund_add(tenant, { paymentId = payment, refundId = "re_" .. ident.uuid(),
      amount = amount })
    return refund and "refunded" or name
  end)
end

-- Adds `count` entries to a key, one after the other.
function acts.add(key, count)
  for n = 1, count do
    assert(ledger.outbox_add(tenant, { key = key, kind = "x", payload = { n = n } }))
  end
  return {}
end

-- Whether nothing will be added any more, and nothing is left.
local function is_over(path)
  local stop = io.open(path .. ".stop")
  if not stop then return false end
  stop:close()
  return assert(ledger.outbox_size()).count == 0
end

-- Takes entries and notes each in the file before it is done, until all are and the file with .stop behind its name is
-- there. `dies`: ends after so many entries without a word, while it has some.
function acts.work(path, lease_ms, dies)
  local worker, file, count = "w" .. ident.uuid(), assert(io.open(path, "a")), 0
  repeat
    for _, entry in ipairs(assert(ledger.outbox_take(worker, { limit = 7, lease_ms = lease_ms }))) do
      file:write(("%s %d %s\n"):format(entry.key, entry.payload.n, entry.id))
      file:flush()
      count = count + 1
      if count == dies then os.execute "kill -9 $PPID" end
      assert(ledger.outbox_done(worker, { entry }))
    end
    sleep(2)
  until is_over(path)
  return { count = count }
end

-- Writes payments as one session and reads each back at once, from wherever stale reads go; begins when the driver
-- knows its replica.
function acts.read(session, count)
  local missed, behind = 0, 0
  while not require("lib.pg").lag() do sleep(20) end
  for _ = 1, count do
    local added = assert(ledger.payment_add(tenant, { orderId = ident.uuid(), intentId = "pi_" .. ident.uuid(),
      amount = 1, currency = "USD" }, { session = session }))
    if not ledger.payment_get(tenant, added.id, { stale = true, session = session }) then missed = missed + 1 end
    if not ledger.payment_get(tenant, added.id, { stale = true }) then behind = behind + 1 end
  end
  return { missed = missed, behind = behind }
end

-- Rounds of 64 queries at once, each longer than what a pooler reads at a time, and each with an answer of its own.
function acts.flood(rounds)
  local pg = require("lib.pg").tenant(tenant)
  local total = {}
  for _ = 1, rounds do
    local counts = tally(64, function(i)
      local own = ident.uuid() .. ("-"):rep(3000 + i)
      local row, text = pg.one("SELECT $1::text AS own, current_setting('perigee.tenant') AS tenant", own)
      if not row then return text end
      return row.own == own and row.tenant == tenant and "own" or "another's"
    end)
    for word, count in pairs(counts) do total[word] = (total[word] or 0) + count end
  end
  return total
end

local arguments = {}
for i = 3, #arg do arguments[i - 2] = tonumber(arg[i]) or arg[i] end
print(json.encode(acts[act](unpack(arguments))))
return 0
