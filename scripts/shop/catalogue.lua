-- catalogue.lua: loads many checked products at once: new SKUs are added, known ones updated, nothing is doubled.
local audit = require "shop.audit"
local index = require "shop.index"
local problem = require "lib.problem"
local products = require "shop.products"
local schema = require "schema.product"
local stores = require "stores"

local catalogue = {}

local COLLECTION = "products"
local BATCH = 250
local TRIES = 20
-- Who changes prices by a command: whoever runs it.
local BY = { actor = "import:" .. (os.getenv "USER" or "") }

local function known_by_sku(tenant, entries)
  local skus, known = {}, {}
  for i, entry in ipairs(entries) do skus[i] = entry.product.sku end
  local found = problem.check(stores.documents.find(tenant.id, COLLECTION,
    { filter = { sku = { ["in"] = skus } }, limit = #skus }))
  for _, product in ipairs(found) do known[product.sku] = product end
  return known
end

local function differs(stored, clean)
  for name, value in pairs(clean) do
    if not schema.same(stored[name], value) then return true end
  end
  return false
end

-- One transaction for all new products of a batch.
local function insert(tenant, entries, counts, changed)
  local fresh = {}
  for i, entry in ipairs(entries) do fresh[i] = products.complete(entry.product) end
  if #fresh == 0 then return end
  local outcomes = problem.check(stores.documents.insert_many(tenant.id, COLLECTION, fresh))
  for i, outcome in ipairs(outcomes) do
    if outcome.ok then
      counts.added = counts.added + 1
      changed[#changed + 1] = fresh[i]
    else
      counts.refused[#counts.refused + 1] = { line = entries[i].line, text = outcome.detail or outcome.error }
    end
  end
end

-- A price is changed from the very one that its record names: again, when somebody was faster.
local function update(tenant, stored, entry, counts, changed)
  for _ = 1, TRIES do
    local set = entry.product
    local record = audit.of_price(stored, set, BY)
    set.pending, set.updatedAt = true, clock.iso(clock.now_ms())
    set.audits = record and audit.appended(stored, record)
    local after, text, name = stores.documents.update(tenant.id, COLLECTION, stored.id,
      { set = set, inc = { version = 1, rev = 1 }, guard = record and { version = stored.version } })
    if after then
      counts.updated = counts.updated + 1
      changed[#changed + 1] = after
      return
    end
    if name ~= "precondition_failed" then problem.of_failure(text, name) end
    stored = products.get(tenant, stored.id)
    if not stored then break end
  end
  counts.refused[#counts.refused + 1] = { line = entry.line, text = "it changes too often, or is gone: try again" }
end

local function load_batch(tenant, entries, counts)
  local known, fresh, changed = known_by_sku(tenant, entries), {}, {}
  for _, entry in ipairs(entries) do
    local stored = known[entry.product.sku]
    if not stored then
      fresh[#fresh + 1] = entry
    elseif differs(stored, entry.product) then
      update(tenant, stored, entry, counts, changed)
    else
      counts.unchanged = counts.unchanged + 1
    end
  end
  insert(tenant, fresh, counts, changed)
  if #changed > 0 then index.put(tenant.id, changed) end
end

-- Loads entries ({ line, product }, products checked by the schema). progress(done) is called after each batch. Returns
-- { added, updated, unchanged, refused = { { line, text } } }.
function catalogue.load(tenant, entries, progress)
  local counts = { added = 0, updated = 0, unchanged = 0, refused = {} }
  for start = 1, #entries, BATCH do
    local batch = {}
    for i = start, math.min(start + BATCH - 1, #entries) do batch[#batch + 1] = entries[i] end
    load_batch(tenant, batch, counts)
    progress(start + #batch - 1)
  end
  return counts
end

return catalogue
