-- products.lua: /api/products: lists, reads, creates, changes and removes products.
local answer = require "lib.answer"
local audit = require "shop.audit"
local cursor = require "lib.cursor"
local etag = require "lib.etag"
local page = require "lib.page"
local problem = require "lib.problem"
local products = require "shop.products"
local query = require "lib.query"
local schema = require "schema.product"
local shelf = require "shop.shelf"

local api = {}

local MOST_IN_BULK = 1000

local list_parameters = {
  status = query.choice("active", "draft", "archived", "all"),
  category = query.text(100),
  sort = query.sort("createdAt", "updatedAt", "name", "price", "sku", "stock"),
  fields = query.names(schema.names),
  limit = query.integer(1, 100),
  cursor = query.text(4000),
  page = query.integer(1, 100000),
  size = query.integer(1, 100),
}

-- The parameters of lists; amounts are read in the shop's currency.
local function read_list(req)
  local readers = setmetatable({}, { __index = list_parameters })
  readers.minPrice = query.money(products.context(req.tenant).digits)
  readers.maxPrice = readers.minPrice
  return query.read(req, readers)
end

local function price_between(tenant, low, high)
  if not low and not high then return nil end
  local digits = products.context(tenant).digits
  return { gte = low and money.decimal(low, digits), lte = high and money.decimal(high, digits) }
end

local function single(product, status)
  local headers = { ETag = etag.of(product.version) }
  return answer.json(status or 200, products.view(product), headers)
end

local function views(list, fields)
  local items = {}
  for i, product in ipairs(list) do items[i] = products.view(product, fields) end
  return json.array(items)
end

function api.list(req)
  local wanted = read_list(req)
  local size = wanted.limit or wanted.size or 20
  local status = wanted.status or "active"
  local list, position = products.list(req.tenant, {
    filter = {
      status = status ~= "all" and status or nil,
      category = wanted.category,
      price = price_between(req.tenant, wanted.minPrice, wanted.maxPrice),
    },
    sort = { wanted.sort or { "createdAt", "desc" } },
    limit = size,
    skip = wanted.page and not wanted.cursor and (wanted.page - 1) * size or nil,
    after = cursor.decode(req, wanted.cursor),
  })
  return page.answer(req, { items = views(list, wanted.fields) }, cursor.encode(req, position))
end

function api.low_stock(req)
  local wanted = query.read(req, {
    threshold = query.integer(0, 1000000000), limit = query.integer(1, 100), cursor = query.text(4000),
    fields = query.names(schema.names),
  })
  local threshold = wanted.threshold or req.tenant.settings.lowStockThreshold or 10
  local list, position = products.list(req.tenant, {
    filter = { stock = { lte = threshold } },
    sort = { { "stock", "asc" } },
    limit = wanted.limit or 20,
    after = cursor.decode(req, wanted.cursor),
  })
  return page.answer(req, { items = views(list, wanted.fields) }, cursor.encode(req, position))
end

local shown_parameters = { fields = query.names(schema.names) }

-- What is sent is what the cache holds; only a choice of fields needs to look into it.
function api.get(req)
  local text, version = shelf.get(req.tenant_id, req.params.id)
  if not text then problem.not_found "product" end
  local wanted = query.read(req, shown_parameters)
  if not wanted.fields then return etag.answer_text(req, text, version) end
  return etag.answer(req, products.view(json.decode(text), wanted.fields), tonumber(version))
end

function api.by_sku(req)
  local product = products.by_sku(req.tenant, req.params.sku)
  if not product then problem.not_found "product" end
  local wanted = query.read(req, shown_parameters)
  return etag.answer(req, products.view(product, wanted.fields), product.version)
end

function api.create(req)
  local product = products.create(req.tenant, req.json)
  local made = single(product, 201)
  made.headers.Location = "/api/products/" .. product.id
  return made
end

function api.create_many(req)
  local body = req.json
  local items = type(body) == "table" and body.items
  if type(items) ~= "table" or #items == 0 or #items > MOST_IN_BULK then
    local detail = "must be a list of 1 to " .. MOST_IN_BULK .. " products"
    problem.raise { status = 422, code = "unprocessable", detail = "/items " .. detail,
      errors = { { pointer = "/items", code = "items", detail = detail } } }
  end
  return { items = json.array(products.create_many(req.tenant, items)) }
end

function api.replace(req)
  return single(products.replace(req.tenant, req.params.id, req.json, etag.condition(req), audit.by(req)))
end

function api.patch(req)
  return single(products.patch(req.tenant, req.params.id, req.json, etag.condition(req), audit.by(req)))
end

function api.remove(req)
  products.remove(req.tenant, req.params.id, etag.condition(req))
  return answer.empty(204)
end

function api.change_stock(req)
  return single(products.change_stock(req.tenant, req.params.id, req.json, etag.condition(req)))
end

return api
