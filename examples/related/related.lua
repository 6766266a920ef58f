-- related.lua: GET /api/products/{id}/related: up to five other products of the same category.
local problem = require "lib.problem"
local products = require "shop.products"
local query = require "lib.query"
local stores = require "stores"

local api = {}

local CACHE_S = 60

local function find(tenant, product)
  local list = products.list(tenant, {
    filter = { status = "active", category = product.category[1] },
    sort = { { "createdAt", "desc" } },
    limit = 6,
  })
  local items = {}
  for _, other in ipairs(list) do
    if other.id ~= product.id and #items < 5 then
      items[#items + 1] = products.view(other, { "name", "sku", "price" })
    end
  end
  return { items = json.array(items) }
end

function api.get(req)
  query.read(req, {})
  local key = "related:" .. req.params.id
  local cached = stores.cache.get(req.tenant.id, key)
  if cached then return json.decode(cached) end

  local product = products.get(req.tenant, req.params.id)
  if not product then problem.not_found "product" end
  local found = product.category[1] and find(req.tenant, product) or { items = json.array {} }
  stores.cache.set(req.tenant.id, key, json.encode(found), CACHE_S)
  return found
end

return api
