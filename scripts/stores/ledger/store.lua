-- store.lua: the ledger's functions, made of the nouns' statements for one engine.
--
-- An engine has sql (its dialect's writer); write(tenant, unit, options) → the rows of each statement, or nil, a
-- sentence, a name and the number of the statement that failed, if it is known; read(tenant, statement, options) → the
-- rows; and announce(), called after something was added to the outbox.
local fields = require "stores.ledger.fields"

local NOUNS = { "payments", "keys", "checkouts", "outbox", "audit", "events", "sweep" }
-- How many arguments a step takes after the tenant; its options follow.
local ARGUMENTS = { payment_set = 2, key_finish = 2, key_renew = 2, checkout_advance = 2, checkout_renew = 2,
  checkout_resume = 2, event_add = 2 }
-- Steps that are calls of their own only.
local ALONE = { payment_process = true, key_renew = true, checkout_renew = true, checkout_resume = true }

local function tenant_of(tenant)
  return fields.one("uuid", "the tenant's id", tenant)
end

local function call_of_step(engine, name, step)
  local count = ARGUMENTS[name] or 1
  return function(tenant, ...)
    local id, text, why = tenant_of(tenant)
    if not id then return nil, text, why end
    local first, second = ...
    if count == 1 then second = nil end
    local unit
    unit, text, why = step(id, first, second, engine)
    if not unit then return nil, text, why end
    local rows
    rows, text, why = engine.write(id, unit, (select(count + 1, ...)))
    if not rows then return nil, text, why end
    if unit.announces then engine.announce() end
    return unit.result(rows)
  end
end

-- A page's options hold what every read's options do.
local function call_of_read(engine, read)
  return function(tenant, first, options)
    local id, text, name = tenant_of(tenant)
    if not id then return nil, text, name end
    if first == nil or type(first) == "table" then first, options = first or {}, first end
    local statement, translate, why = read(id, first)
    if not statement then return nil, translate, why end
    local rows
    rows, text, name = engine.read(id, statement, options)
    if not rows then return nil, text, name end
    return translate(rows)
  end
end

local function call_of(engine, call, platform)
  if platform then return function(...) return call(engine, ...) end end
  return function(tenant, ...)
    local id, text, name = tenant_of(tenant)
    if not id then return nil, text, name end
    return call(engine, id, ...)
  end
end

-- The steps of an apply as one unit; each knows where its statements begin.
local function gather(engine, tenant, steps, wanted)
  local all, parts = { locks = {} }, {}
  for i, entry in ipairs(wanted) do
    local name = entry[1]
    local step = steps[name]
    if not step then return nil, ("step %d: there is no step %s"):format(i, tostring(name)), "invalid" end
    local unit, text, why = step(tenant, entry[2], entry[3], engine)
    if not unit then return nil, ("step %d (%s): %s"):format(i, name, text), why end
    parts[i] = { unit = unit, name = name, from = #all, count = #unit }
    for _, statement in ipairs(unit) do all[#all + 1] = statement end
    for _, lock in ipairs(unit.locks or {}) do all.locks[#all.locks + 1] = lock end
    all.announces = all.announces or unit.announces
  end
  return all, parts
end

local function blamed(parts, text, index)
  for i, part in ipairs(parts) do
    if index and index > part.from and index <= part.from + part.count then
      return ("step %d (%s): %s"):format(i, part.name, text)
    end
  end
  return text
end

local function results_of(parts, rows)
  local results = {}
  for i, part in ipairs(parts) do
    local own = {}
    for k = 1, part.count do own[k] = rows[part.from + k] end
    results[i] = part.unit.result(own)
  end
  return results
end

local function apply_of(engine, steps)
  return function(tenant, wanted, options)
    local id, why, name = tenant_of(tenant)
    if not id then return nil, why, name end
    local unit, parts, err = gather(engine, id, steps, wanted)
    if not unit then return nil, parts, err end
    if #wanted == 0 then return {} end
    local rows, text, kind, index = engine.write(id, unit, options)
    if not rows then return nil, blamed(parts, text, index), kind end
    if unit.announces then engine.announce() end
    return results_of(parts, rows)
  end
end

return function(engine)
  local opened, steps = {}, {}
  for _, file in ipairs(NOUNS) do
    local noun = require("stores.ledger." .. file)(engine.sql)
    for name, step in pairs(noun.steps or {}) do
      opened[name] = call_of_step(engine, name, step)
      if not ALONE[name] then steps[name] = step end
    end
    for name, read in pairs(noun.reads or {}) do opened[name] = call_of_read(engine, read) end
    for name, call in pairs(noun.calls or {}) do
      opened[name] = call_of(engine, call, noun.platform and noun.platform[name])
    end
  end
  opened.apply = apply_of(engine, steps)
  return opened
end
