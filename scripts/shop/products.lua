-- products.lua: what a shop does with its products; every write goes through the schema and reaches the index.
local audit = require "shop.audit"
local generation = require "shop.generation"
local index = require "shop.index"
local problem = require "lib.problem"
local read_through = require "lib.read_through"
local schema = require "schema.product"
local shelf = require "shop.shelf"
local stores = require "stores"

local products = {}

local COLLECTION = "products"
-- A change that meets another one in between is made again on the newer state this many times.
local TRIES = 20
-- A list may be served again for so long; a change of a product ends it at once, because it changes the key.
local KEPT = { ttl_s = 120, stale = true }

-- What the schema must know of the shop.
function products.context(tenant)
  local currency = tenant.settings.currency or "USD"
  return { currency = currency, digits = money.digits(currency) }
end

function products.view(product, chosen)
  return schema:view(product, chosen)
end

function products.get(tenant, id)
  return problem.check(stores.documents.get(tenant.id, COLLECTION, id))
end

function products.by_sku(tenant, sku)
  local found = problem.check(stores.documents.find(tenant.id, COLLECTION, { filter = { sku = sku }, limit = 1 }))
  return found[1]
end

-- The products of these ids as { id = product }; an id without a product is left out.
function products.by_ids(tenant, ids)
  local by_id = {}
  if #ids == 0 then return by_id end
  local found = problem.check(stores.documents.find(tenant.id, COLLECTION,
    { filter = { id = { ["in"] = ids } }, limit = #ids }))
  for _, product in ipairs(found) do by_id[product.id] = product end
  return by_id
end

local function find(tenant, options)
  local list, position = problem.check(stores.documents.find(tenant.id, COLLECTION, options))
  return { items = list, position = position }
end

-- A page of products: options are those of the document store's find. Returns the list and the next position.
function products.list(tenant, options)
  local number = generation.of(tenant.id)
  local page
  if number then
    page = read_through.get(tenant.id, ("products:%d:%s"):format(number, ident.sha256(json.encode(options))), KEPT,
      function() return find(tenant, options) end)
  else
    page = find(tenant, options)
  end
  return page.items, page.position
end

-- The fields that only the server sets, on a new product.
function products.complete(clean)
  clean.id = ident.uuid()
  clean.version, clean.rev, clean.pending = 1, 1, true
  clean.createdAt = clock.iso(clock.now_ms())
  clean.updatedAt = clean.createdAt
  return clean
end

local function taken(sku)
  return { status = 409, code = "conflict", detail = "the SKU " .. sku .. " is taken",
    errors = { { pointer = "/sku", code = "taken", detail = "is taken" } } }
end

function products.create(tenant, body)
  local product = products.complete(schema:expect(body, products.context(tenant), { creating = true }))
  local stored, text, name = stores.documents.insert(tenant.id, COLLECTION, product)
  if name == "conflict" then problem.raise(taken(product.sku)) end
  problem.check(stored, text, name)
  index.put(tenant.id, { product })
  return product
end

-- What became of one element of a bulk: { index, status, id } or { index, status, error }.
local function refused(i, fields)
  return { index = i - 1, status = fields.status,
    error = { code = fields.code, detail = fields.detail, errors = fields.errors and json.array(fields.errors) } }
end

local function check_all(tenant, bodies, results)
  local context, good, places = products.context(tenant), {}, {}
  for i, body in ipairs(bodies) do
    local clean, errors = schema:check(body, context, { creating = true })
    if clean then
      good[#good + 1], places[#good + 1] = products.complete(clean), i
    else
      results[i] = refused(i, { status = 422, code = "unprocessable", detail = "is not a valid product",
        errors = errors })
    end
  end
  return good, places
end

-- Creates many in one transaction; a bad or a taken one does not keep the others out.
function products.create_many(tenant, bodies)
  local results = {}
  local good, places = check_all(tenant, bodies, results)
  local stored = {}
  local answers = #good == 0 and {}
    or problem.check(stores.documents.insert_many(tenant.id, COLLECTION, good))
  for k, outcome in ipairs(answers) do
    local i, product = places[k], good[k]
    if outcome.ok then
      stored[#stored + 1] = product
      results[i] = { index = i - 1, status = 201, id = product.id }
    elseif outcome.error == "conflict" then
      results[i] = refused(i, taken(product.sku))
    else
      results[i] = refused(i, { status = 500, code = outcome.error, detail = outcome.detail })
    end
  end
  if #stored > 0 then index.put(tenant.id, stored) end
  return results
end

-- Changes a product by what `plan(product)` returns ({ set, inc, guard }), again on the newer state when its guard
-- was not met. `match(product)` raises when the client's condition is not met and returns whether it had one (bound):
-- then only that very version may be changed. So it is with a price: its record must name the one before. `by` is who
-- asks, as shop.audit wants it.
local function change(tenant, id, match, plan, by)
  for _ = 1, TRIES do
    local product = products.get(tenant, id)
    if not product then problem.not_found "product" end
    local bound = match(product)
    local update = plan(product)
    update.set = update.set or {}
    update.set.pending, update.set.updatedAt = true, clock.iso(clock.now_ms())
    update.inc = update.inc or {}
    update.inc.rev, update.inc.version = 1, 1
    update.guard = update.guard or {}
    local record = audit.of_price(product, update.set, by)
    if record then update.set.audits = audit.appended(product, record) end
    if bound or record then update.guard.version = product.version end
    local after, text, name = stores.documents.update(tenant.id, COLLECTION, id, update)
    if after then
      index.put(tenant.id, { after })
      return after
    end
    if name == "conflict" then problem.raise(taken(update.set.sku)) end
    if name ~= "precondition_failed" and name ~= "not_found" then problem.of_failure(text, name) end
  end
  problem.too_often "product"
end

-- Puts the body in the place of the product; stock, which sales change, stays as it is.
function products.replace(tenant, id, body, match, by)
  return change(tenant, id, match, function(product)
    return { set = schema:expect(body, products.context(tenant), { current = products.view(product) }) }
  end, by)
end

local function is_object(value)
  return type(value) == "table" and not json.is_array(value)
end

-- RFC 7386: a null removes, an object is merged, anything else replaces.
local function merge(target, patch)
  if not is_object(patch) then return patch end
  local merged = {}
  for name, value in pairs(is_object(target) and target or {}) do merged[name] = value end
  for name, value in pairs(patch) do
    if value == json.null then merged[name] = nil else merged[name] = merge(merged[name], value) end
  end
  return json.object(merged)
end

function products.patch(tenant, id, body, match, by)
  return change(tenant, id, match, function(product)
    local current = products.view(product)
    local merged = merge(json.object(current), body)
    local clean = schema:expect(merged, products.context(tenant), { current = current })
    return { set = clean, guard = { version = product.version } }
  end, by)
end

local function refuse_stock(product, pointer)
  problem.raise {
    status = 409, code = "insufficient_stock",
    detail = ("only %d of %s are available"):format(product.stock, product.sku),
    errors = { { pointer = pointer, code = "insufficient_stock", detail = "would take the stock below 0",
      available = product.stock } },
  }
end

local function set_stock(product, number)
  if product.stockPolicy == "deny" and number < 0 then refuse_stock(product, "/set") end
  return { set = { stock = number }, guard = { stockPolicy = product.stockPolicy } }
end

-- The store adds, guarded, so that of any number of changes at once none is lost and none goes below 0.
local function adjust_stock(product, number)
  local guard = { stockPolicy = product.stockPolicy }
  if product.stockPolicy == "deny" and number < 0 then
    if product.stock + number < 0 then refuse_stock(product, "/adjust") end
    guard.stock = { gte = -number }
  end
  return { inc = { stock = number }, guard = guard }
end

-- Sets or adjusts the stock: never below 0 unless the product may be ordered beyond it.
function products.change_stock(tenant, id, body, match)
  local wanted = schema.stock_change:expect(body, {}, { creating = true })
  return change(tenant, id, match, function(product)
    if wanted.set then return set_stock(product, wanted.set) end
    return adjust_stock(product, wanted.adjust)
  end)
end

-- Removes the product. The mark comes first: were the document to stay after all, the sweep would index it again.
function products.remove(tenant, id, match)
  for _ = 1, TRIES do
    local product = products.get(tenant, id)
    if not product then problem.not_found "product" end
    match(product)
    local marked = stores.documents.update(tenant.id, COLLECTION, id,
      { set = { pending = true }, inc = { rev = 1 }, guard = { version = product.version } })
    if marked then
      index.remove(tenant.id, id)
      problem.check(audit.write(tenant.id, marked.audits or {}))
      local done, text, name = stores.documents.delete(tenant.id, COLLECTION, id, { version = product.version })
      if done or name == "not_found" then
        shelf.drop(tenant.id, id)
        return generation.raise(tenant.id)
      end
      if name ~= "precondition_failed" then problem.of_failure(text, name) end
    end
  end
  problem.too_often "product"
end

return products
