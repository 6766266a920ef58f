-- tenant_shop.lua: what a tenant's routes.lua reaches as `shop`, by the names it has there.
--
-- Every function takes the tenant's document and the visitor's session (or nil) first, which the server puts there: a
-- script can name neither another shop nor another visitor. What comes back is plain data with amounts in minor units,
-- as in the rules.
local carts = require "shop.carts"
local problem = require "lib.problem"
local products = require "shop.products"
local stores = require "stores"

local shop = {}

local MOST = 100
local CACHE_BYTES, CACHE_S = 65536, 3600

-- A script's mistake: its call returns nil, this text and "invalid".
local function refuse(...)
  problem.raise { status = 400, code = "invalid", detail = string.format(...) }
end

local function plain(tenant, product)
  if not product then return nil end
  local view = products.view(product)
  view.price = money.parse(product.price, products.context(tenant).digits)
  view.weight_grams, view.weightGrams = product.weightGrams, nil
  view.attributes = {}
  for name, value in pairs(product.attributes) do
    view.attributes[name] = decimal.is(value) and tostring(value) or value
  end
  return view
end

local function plain_list(tenant, list)
  local items = {}
  for i, product in ipairs(list) do items[i] = plain(tenant, product) end
  return items
end

local function size_of(wanted)
  local size = wanted.size or 20
  if type(size) ~= "number" or size < 1 or size > MOST or size % 1 ~= 0 then
    refuse("size must be a whole number from 1 to %d", MOST)
  end
  return size
end

shop["products.get"] = function(tenant, _, id)
  if type(id) ~= "string" then refuse "products.get needs an id" end
  return plain(tenant, products.get(tenant, id))
end

shop["products.by_sku"] = function(tenant, _, sku)
  if type(sku) ~= "string" then refuse "products.by_sku needs a SKU" end
  return plain(tenant, products.by_sku(tenant, sku))
end

-- Only what has an index: a shop's visitors must not be able to make the store read it all.
local FILTERS = { ids = "id", sku = "sku", category = "category", status = "status" }

shop["products.find"] = function(tenant, _, wanted)
  wanted = wanted or {}
  local filter = { status = "active" }
  for name, value in pairs(wanted) do
    if name == "ids" and type(value) == "table" and #value <= MOST then
      filter.id = { ["in"] = value }
    elseif FILTERS[name] and type(value) == "string" then
      filter[FILTERS[name]] = value
    elseif name ~= "size" then
      refuse("products.find cannot filter by %s; it knows ids, sku, category, status", tostring(name))
    end
  end
  local list = products.list(tenant, { filter = filter, limit = size_of(wanted) })
  return { items = plain_list(tenant, list) }
end

-- attributes = { brand = "Tarn" } or { brand = { "Tarn", "Corrie" } }.
local function attributes_of(given)
  local attributes = {}
  for name, value in pairs(given or {}) do
    attributes[tostring(name)] = type(value) == "table" and value or { tostring(value) }
  end
  return attributes
end

shop["products.search"] = function(tenant, _, wanted)
  wanted = wanted or {}
  local category = wanted.category
  if type(category) == "string" then category = { category } end
  local found = problem.check(stores.search.query(tenant.id, {
    q = wanted.q, size = size_of(wanted), skip = 0, facets = false,
    filters = { status = "active", category = category, attributes = attributes_of(wanted.attributes) },
  }))
  local ids, items = {}, {}
  for i, hit in ipairs(found.items) do ids[i] = hit.id end
  local by_id = products.by_ids(tenant, ids)
  for _, id in ipairs(ids) do items[#items + 1] = plain(tenant, by_id[id]) end
  return { items = items, total = found.total }
end

-- The visitor's own cart, or nil without a session. It is not priced here: a rule cannot start itself.
shop["cart.get"] = function(tenant, session)
  if not session then return nil end
  return carts.peek(tenant, session)
end

-- The tenant's document: name, branding, settings.
shop["config"] = function(tenant)
  return tenant
end

local function cache_key(key)
  if type(key) ~= "string" or #key == 0 or #key > 200 then refuse "a cache key is a text of 1 to 200 bytes" end
  return "routes:" .. key
end

shop["cache.get"] = function(tenant, _, key)
  return problem.check(stores.cache.get(tenant.id, cache_key(key)))
end

shop["cache.set"] = function(tenant, _, key, text, seconds)
  key = cache_key(key)
  if type(text) ~= "string" or #text > CACHE_BYTES then refuse("a cached text has at most %d bytes", CACHE_BYTES) end
  seconds = tonumber(seconds) or CACHE_S
  return problem.check(stores.cache.set(tenant.id, key, text, math.max(1, math.min(seconds, CACHE_S))))
end

-- Orders come with the checkout; a shopper has none before it.
shop["orders.mine"] = function()
  return { items = {} }
end

return shop
