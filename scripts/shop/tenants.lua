-- tenants.lua: finds the tenant of a request and keeps the tenants' documents in step with their tenant.json.
local audit = require "shop.audit"
local problem = require "lib.problem"
local read_through = require "lib.read_through"
local schema = require "schema.tenant"
local stores = require "stores"

local tenants = {}

-- config:{tenant} in the cache role, and how long a changed setting may stay unseen if its invalidation is lost. While
-- the cache and the documents are both away, the last known settings serve on.
local KEY, TTL_S = "config", 300
local KEPT = { ttl_s = TTL_S, negative_s = 10, copy = true, stale_s = tonumber(process.config "config_stale_s") }

-- Where a document is found by something else than its id: only the id is remembered here, the document always comes
-- from the cache role, so that a change reaches every process.
local ids, ids_until = {}, 0

local function remembered(field, text)
  local now = clock.now_ms()
  if now > ids_until then ids, ids_until = {}, now + TTL_S * 1000 end
  return ids[field .. ":" .. text]
end

local function remember(tenant)
  for _, field in ipairs { "id", "slug", "subdomain", "customDomain" } do
    if tenant[field] then ids[field .. ":" .. tenant[field]] = tenant.id end
  end
end

-- The tenant of an id, from the cache role or else from the documents.
function tenants.get(id)
  return read_through.get(id, KEY, KEPT, function()
    local document = problem.check(stores.documents.get("*", "tenants", id))
    return document and schema:view(document)
  end)
end

-- The tenant whose field (slug, subdomain, customDomain, id) has this text, or nil.
function tenants.find(field, text)
  local id = remembered(field, text)
  local tenant = id and tenants.get(id)
  if tenant and tenant[field] == text then return tenant end
  local found = problem.check(stores.documents.find("*", "tenants", { filter = { [field] = text }, limit = 1 }))
  if not found[1] then return nil end
  tenant = tenants.get(found[1].id)
  if tenant then remember(tenant) end
  return tenant
end

-- Each worker keeps settings of its own, beside what is cached.
read_through.on_change(function(_, key)
  if key and key ~= KEY then return end
  ids = {}
  process.forget_tenants()
end)

-- Returns what stands in the way of a document as one text.
local function refused(slug, pointer, detail)
  log.error("tenant_refused", { slug = slug, pointer = pointer, detail = detail })
  return pointer .. ": " .. detail
end

-- Names the field that another tenant has already; nil when there is none.
local function report_taken(clean)
  for _, field in ipairs { "id", "subdomain", "customDomain" } do
    local filter = { [field] = clean[field] }
    local found = clean[field] and problem.check(stores.documents.find("*", "tenants", { filter = filter, limit = 1 }))
    local other = found and found[1] and found[1].slug
    if other and other ~= clean.slug then
      return refused(clean.slug, "/" .. field, ("%q is the tenant %s's already"):format(clean[field], other))
    end
  end
end

-- The row that payments refer to. They see to it themselves too, so that a shop opens without the ledger.
local function tell_ledger(id, document)
  local done, text = stores.ledger.tenant_put(id, { slug = document.slug, name = document.name })
  if not done then log.warn("tenant_not_in_ledger", { tenant = id, error = text }) end
end

-- Returns why the document is refused, or nil; what fails otherwise is raised.
local function insert(clean, digest)
  clean.id = clean.id or ident.uuid()
  clean.seed, clean.version = digest, 1
  clean.createdAt = clock.iso(clock.now_ms())
  clean.updatedAt = clean.createdAt
  local _, text, name = stores.documents.insert("*", "tenants", clean)
  if name == "conflict" then
    -- Either another worker was first, and its document is the same one, or the host is somebody else's.
    return report_taken(clean)
  elseif name then
    problem.of_failure(text, name)
  else
    tell_ledger(clean.id, clean)
  end
end

-- A price is a number of its currency: a shop that has some cannot change to another. What costs 3000 yen would cost
-- 3000 euros, and 9.99 is no amount of yen.
local function currency_refused(known, clean)
  local before, after = known.settings.currency or "USD", clean.settings.currency or "USD"
  if before == after then return nil end
  local filter = { currency = before }
  local found = problem.check(stores.documents.find(known.id, "products", { filter = filter, limit = 1 }))
  if not found[1] then return nil end
  return refused(clean.slug, "/settings/currency", ("cannot become %s while products are priced in %s (%s costs %s): "
    .. "the document before stays; remove them first"):format(after, before, found[1].sku, tostring(found[1].price)))
end

-- As insert.
local function replace(known, clean, digest)
  local why = currency_refused(known, clean)
  if why then return why end
  local record = audit.of_settings(known.settings, clean.settings, { actor = "file" })
  clean.id = nil
  clean.seed, clean.updatedAt = digest, clock.iso(clock.now_ms())
  clean.audits = record and audit.appended(known, record)
  local change = { set = clean, inc = { version = 1 }, guard = { version = known.version } }
  local after, text, name = stores.documents.update("*", "tenants", known.id, change)
  if after then
    audit.note_settings(after)
    tell_ledger(after.id, after)
  elseif name == "conflict" then
    return report_taken(clean)
  elseif name ~= "precondition_failed" then
    problem.of_failure(text, name)
  end
end

-- As insert.
local function seed_one(document)
  local slug = document.slug
  document.subdomain = document.subdomain or slug
  local clean, errors = schema:check(document, {}, { creating = true })
  if not clean then
    local first = errors[1]
    return refused(slug, first.pointer, first.detail)
  end
  local digest = ident.sha256(json.encode(clean))
  local found = problem.check(stores.documents.find("*", "tenants", { filter = { slug = slug }, limit = 1 }))
  local known = found[1]
  if not known then return insert(clean, digest) end
  local why = known.seed ~= digest and replace(known, clean, digest) or nil
  read_through.changed(known.id, KEY)
  return why
end

-- Why a document could not be stored: a raised problem with the field it names, or any other error.
local function reason_of(raised)
  local document = type(raised) == "table" and raised.json
  if not document then return tostring(raised) end
  local first = document.errors and document.errors[1]
  return (first and first.pointer .. ": " or "") .. problem.reason(raised) .. " (" .. tostring(document.code) .. ")"
end

-- Stores the tenants of the editions' tenant.json documents that are not known yet, and updates those whose file has
-- changed since; what was changed through the API stays until then. With a slug, only that tenant's. Returns why
-- documents were refused, by slug, or a store's failure: nil, text, name.
function tenants.seed(slug)
  local failure, count, refusals = nil, 0, {}
  for _, document in ipairs(rules.seeds(slug)) do
    document.slug = document.slug or document.subdomain
    if not slug or document.slug == slug then
      local ok, raised = pcall(seed_one, document)
      -- One tenant that cannot be stored now does not keep the others from it; the caller tries again.
      if not ok then
        failure = failure or tostring(document.slug) .. ": " .. reason_of(raised)
        count = count + 1
      elseif raised then
        refusals[document.slug] = raised
      end
    end
  end
  if count == 1 then return nil, failure, "unavailable" end
  if count > 1 then return nil, ("%s; and %d more tenants"):format(failure, count - 1), "unavailable" end
  return refusals
end

-- A host as the tenant's name in it: the whole of it is a custom domain, else its first label is a subdomain.
local function by_host(host)
  host = host:lower():gsub(":%d+$", ""):gsub("%.$", "")
  local label = host:match "^([a-z0-9][a-z0-9-]*)%."
  return tenants.find("customDomain", host) or (label and tenants.find("subdomain", label))
end

-- Called by the server, which keeps the answer for five minutes: kind is "host", or "header" for the X-Tenant-ID (an
-- id or a slug) of a trusted caller. Returns the tenant's document, or nil when there is none.
function tenants.resolve(kind, text)
  if kind == "header" then return tenants.find("slug", text) or tenants.find("id", text) end
  return by_host(text)
end

return tenants
