-- audit.lua: notes in the ledger who changed a price, the rules or the settings, when, from what to what.
--
-- A price changes in the documents, which know no transaction with the ledger: the record goes into the product by the
-- very update that changes the price, and into the ledger, under an id of its own, before the product's mark is
-- cleared. So each change has exactly one record, whatever dies in between. So it is with a shop's settings.
local changes = require "changes"
local problem = require "lib.problem"
local schema = require "lib.schema"
local stores = require "stores"

local audit = {}

-- How long a swap of rules waits for its shop to be known.
local GIVE_UP_MS = 600000

-- Who asks, for the services that change something.
function audit.by(req)
  return { actor = req.role or "shopper", requestId = req.request_id }
end

-- The record of a change of price, or nil when `set` leaves it what it was.
function audit.of_price(product, set, by)
  local digits = money.digits(product.currency or set.currency)
  if set.price == nil or money.parse(set.price, digits) == money.parse(product.price, digits) then return nil end
  return {
    id = ident.uuid(), actor = by.actor, requestId = by.requestId, action = "product.price", subject = product.id,
    before = { price = product.price, currency = product.currency },
    after = { price = set.price, currency = set.currency or product.currency },
  }
end

-- A setting of this name is not for a log.
local function is_secret(name)
  name = name:lower()
  for _, word in ipairs { "secret", "password", "token", "key" } do
    if name:find(word, 1, true) then return true end
  end
  return false
end

local function shown(name, value)
  if value ~= nil and is_secret(name) then return "(hidden)" end
  if type(value) ~= "table" then return value end
  local copy = json.is_array(value) and json.array {} or json.object {}
  for field, part in pairs(value) do copy[field] = shown(tostring(field), part) end
  return copy
end

-- The record of changed settings of a shop, with those that differ, or nil when none does.
function audit.of_settings(before, after, by)
  local record = { id = ident.uuid(), actor = by.actor, requestId = by.requestId, action = "settings.change",
    subject = "settings", before = json.object {}, after = json.object {} }
  local differs = false
  for _, settings in ipairs { before, after } do
    for name in pairs(settings) do
      if not schema.same(before[name], after[name]) then
        differs = true
        record.before[name], record.after[name] = shown(name, before[name]), shown(name, after[name])
      end
    end
  end
  return differs and record or nil
end

-- The records that wait in the document, and one more.
function audit.appended(document, record)
  local list = json.array {}
  for i, waiting in ipairs(document.audits or {}) do list[i] = waiting end
  list[#list + 1] = record
  return list
end

-- One transaction for all of them; nil when there is one that has been written before.
local function write_together(tenant_id, records)
  local steps = {}
  for i, record in ipairs(records) do steps[i] = { "audit_add", record } end
  return stores.ledger.apply(tenant_id, steps)
end

-- Writes the records, each once, however often it is tried: true, or nil, text, name.
function audit.write(tenant_id, records)
  if #records > 1 and write_together(tenant_id, records) then return true end
  for _, record in ipairs(records) do
    local done, text, name = stores.ledger.audit_add(tenant_id, record)
    if not done and name ~= "conflict" then
      log.warn("audit_waits", { tenant = tenant_id, action = record.action, error = text })
      return nil, text, name
    end
  end
  return true
end

-- Notes the changes of settings that wait in a tenant's document, if any do.
function audit.note_settings(tenant)
  if not tenant.audits or not audit.write(tenant.id, tenant.audits) then return end
  stores.documents.update("*", "tenants", tenant.id, { unset = { "audits" }, guard = { version = tenant.version } })
end

-- A page of records as clients see them, oldest first, and the position of the next one.
function audit.list(tenant_id, options)
  local records, position = problem.check(stores.ledger.audit_find(tenant_id, options))
  local items = json.array {}
  for i, record in ipairs(records) do
    record.at = clock.iso(record.at)
    items[i] = record
  end
  return items, position
end

local waiting_since = {}

local function give_up(change)
  log.error("audit_without_shop", { tenant = change.tenant, after = change.after })
  return true
end

local function edition(hash)
  return hash and { edition = hash }
end

-- Whether the swap has been noted. A shop that has just been made is stored a moment later than its rules are taken.
local function note(change)
  local found, text, name = stores.documents.find("*", "tenants", { filter = { slug = change.tenant }, limit = 1 })
  if not found then return nil, text, name end
  if not found[1] then
    local since = waiting_since[change.id] or clock.now_ms()
    waiting_since[change.id] = since
    return clock.now_ms() - since > GIVE_UP_MS and give_up(change)
  end
  return audit.write(found[1].id, { {
    id = change.id, actor = "file", action = "rules.swap", subject = "rules",
    before = edition(change.before), after = edition(change.after),
  } })
end

-- In the background: notes the swaps of rules that this worker has seen. All workers see each of them, with one id.
function audit.note_rules()
  for _, change in ipairs(changes.waiting()) do
    if note(change) then
      log.debug("rules_noted", { tenant = change.tenant, after = change.after })
      changes.done(change.id)
      waiting_since[change.id] = nil
    end
  end
end

return audit
