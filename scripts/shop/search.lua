-- search.lua: finds products through the search role and shows them as the documents hold them now.
local generation = require "shop.generation"
local problem = require "lib.problem"
local products = require "shop.products"
local read_through = require "lib.read_through"
local stores = require "stores"

local search = {}

-- An answer may be served again for so long; a change of a product ends it at once, because it changes the key.
local KEPT = { ttl_s = 120, stale = true }
-- Bounds of the price facet in minor units, unless the shop's settings name its own (priceRanges, as amounts).
local PRICE_BOUNDS = { 2500, 5000, 10000 }

local function price_bounds(tenant, digits)
  local own = tenant.settings.priceRanges
  if type(own) ~= "table" then return PRICE_BOUNDS end
  local bounds = {}
  for i, amount in ipairs(own) do bounds[i] = money.parse(amount, digits) end
  return bounds
end

-- The products of the hits, each with its score; one that is gone meanwhile is left out.
local function items_of(tenant, hits)
  local ids = {}
  for i, hit in ipairs(hits) do ids[i] = hit.id end
  local by_id, items = products.by_ids(tenant, ids), {}
  for _, hit in ipairs(hits) do
    if by_id[hit.id] then
      local item = products.view(by_id[hit.id])
      item.score = hit.score
      items[#items + 1] = item
    end
  end
  return json.array(items)
end

local function counts(list)
  local shown = {}
  for i, entry in ipairs(list or {}) do shown[i] = { value = entry.value, count = entry.count } end
  return json.array(shown)
end

local function facets_of(facets, digits)
  local ranges, attributes = {}, {}
  for i, range in ipairs(facets.priceRanges or {}) do
    ranges[i] = {
      from = range.from and money.decimal(range.from, digits),
      to = range.to and money.decimal(range.to, digits),
      count = range.count,
    }
  end
  for name, list in pairs(facets.attributes or {}) do attributes[name] = counts(list) end
  return {
    categories = counts(facets.categories), priceRanges = json.array(ranges),
    attributes = json.object(attributes),
  }
end

local function run(tenant, wanted)
  local digits = products.context(tenant).digits
  wanted.priceRanges = price_bounds(tenant, digits)
  local found = problem.check(stores.search.query(tenant.id, wanted))
  return {
    items = items_of(tenant, found.items),
    total = found.total,
    facets = found.facets and facets_of(found.facets, digits),
  }
end

-- Answers { items, total, facets }. wanted is the search role's query; key names the very same question.
function search.query(tenant, wanted, key)
  local number = generation.of(tenant.id)
  if not number then return run(tenant, wanted) end
  return read_through.get(tenant.id, ("search:%d:%s"):format(number, ident.sha256(key)), KEPT,
    function() return run(tenant, wanted) end)
end

function search.suggest(tenant, text, size)
  return problem.check(stores.search.suggest(tenant.id, text, size))
end

return search
