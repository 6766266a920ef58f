-- carts.lua: a shopper's cart: kept by session for seven days, priced by the tenant's rules each time it is shown.
--
-- Stored as a hash: `item:<productId>` JSON for each line, then id, codes, address, option, the amounts of the last
-- write and updatedAt. The server reads, changes, prices and writes it in one step (stores.cache.cart_step), and does
-- it again when somebody was faster: two tabs that add at once both succeed. Here is what it needs to know of
-- products, and what clients see of it.
local problem = require "lib.problem"
local products = require "shop.products"
local schema = require "schema.cart"
local stores = require "stores"

local carts = {}

local TTL_S = 7 * 24 * 3600
local TRIES = 50

local function step_of(tenant, session)
  return problem.check(stores.cache.cart_step(tenant.id, session))
end

-- The products of these ids as { id = product }, false where there is none; by_id holds those that are known already.
local function look_up(tenant, ids, by_id)
  local missing = {}
  for _, id in ipairs(ids) do
    if by_id[id] == nil then
      missing[#missing + 1] = id
      by_id[id] = false
    end
  end
  for id, product in pairs(products.by_ids(tenant, missing)) do by_id[id] = product end
  return by_id
end

local function is_sold(product)
  return product and product.status == "active"
end

-- What can be had of a product, or nil when it may be ordered beyond its stock.
local function available(product)
  if product.stockPolicy == "continue" then return nil end
  return math.max(product.stock, 0)
end

-- An amount from before the shop's currency was another one may be none in this one.
local function shown_amount(minor, digits)
  return minor and money.decimal(minor, digits) or json.null
end

local function shown_item(item, product, digits)
  local price = is_sold(product) and product.price or item.price
  local minor, before = money.parse(price, digits), money.parse(item.price, digits)
  local shown = {
    productId = item.productId, quantity = item.quantity,
    sku = product and product.sku or item.sku, name = product and product.name or item.name,
    price = shown_amount(minor, digits), subtotal = shown_amount(minor and minor * item.quantity, digits),
    attributes = product and product.attributes or json.object {},
  }
  if minor and before and minor ~= before then
    shown.priceChanged = { from = money.decimal(before, digits), to = money.decimal(minor, digits) }
  end
  if not is_sold(product) then
    shown.unavailable = true
  else
    local left = available(product)
    if left and left < item.quantity then shown.available = left end
  end
  return shown
end

-- Amounts of a list of plain tables as exact decimals, in the named field.
local function decimals(list, digits)
  local shown = {}
  for i, entry in ipairs(list or {}) do
    local copy = {}
    for name, value in pairs(entry) do copy[name] = value end
    if copy.amount then copy.amount = money.decimal(copy.amount, digits) end
    shown[i] = copy
  end
  return json.array(shown)
end

-- A line's number means nothing to a client: the product does.
local function name_lines(list, lines)
  for _, entry in ipairs(list) do
    if type(entry.line) == "number" then entry.productId = lines[entry.line] end
  end
  return list
end

-- What keeps the lines from being ordered, whatever the rules say: they know nothing of stock.
local function stock_violations(items)
  local list = {}
  for _, item in ipairs(items) do
    local name = item.name or item.sku
    if item.unavailable then
      local message = name .. " is not on sale any more"
      list[#list + 1] = { code = "unavailable", message = message, productId = item.productId }
    elseif item.available then
      local message = item.available == 0 and name .. " is out of stock"
        or ("only %d of %s are available"):format(item.available, name)
      list[#list + 1] = { code = "not_enough_stock", message = message, productId = item.productId }
    end
  end
  return list
end

local AMOUNTS = { "subtotal", "discount", "shipping", "tax", "total" }

-- What clients see: the document's fields with the quote's amounts. An unpriced cart has its items and the reason.
local function view(tenant, result, by_id)
  local cart, quote, lines = result.cart, result.quote, result.lines
  local context = products.context(tenant)
  local digits, items = context.digits, {}
  for i, item in ipairs(cart.items) do items[i] = shown_item(item, by_id[item.productId], digits) end
  local shown = {
    id = cart.id or json.null, version = cart.version, currency = context.currency, items = json.array(items),
    codes = json.array(cart.codes), address = cart.address or json.null, updatedAt = cart.updatedAt or json.null,
    priced = quote.priced, ruleEdition = quote.ruleEdition,
  }
  local violations = stock_violations(items)
  shown.violations = json.array(violations)
  if not quote.priced then
    shown.reason = quote.reason
    return shown
  end
  for _, name in ipairs(AMOUNTS) do shown[name] = money.decimal(quote[name], digits) end
  -- What of the total is tax already: inclusive tax is contained, not added.
  shown.taxIncluded = money.decimal(quote.taxIncluded, digits)
  shown.discounts = decimals(quote.discounts, digits)
  shown.taxLines = decimals(quote.taxLines, digits)
  shown.shippingOptions = decimals(quote.shippingOptions, digits)
  shown.shippingOption = quote.shippingOption or json.null
  for _, violation in ipairs(name_lines(decimals(quote.violations, digits), lines)) do
    violations[#violations + 1] = violation
  end
  if quote.explain then shown.explain = name_lines(decimals(quote.explain, digits), lines) end
  return shown
end

-- The cart as it is now.
function carts.get(tenant, session, explain)
  local step = step_of(tenant, session)
  local by_id = look_up(tenant, step:ids(), {})
  local result = problem.check(step:show { slug = tenant.slug, products = by_id, explain = explain })
  return view(tenant, result, by_id)
end

-- The cart without a price, for a tenant's own pages: amounts in minor units, as in the rules.
function carts.peek(tenant, session)
  local cart, digits = step_of(tenant, session):cart(), products.context(tenant).digits
  local shown = { id = cart.id, codes = cart.codes, items = {} }
  for i, item in ipairs(cart.items) do
    local minor = money.parse(item.price, digits)
    shown.items[i] = { productId = item.productId, sku = item.sku, name = item.name, quantity = item.quantity,
      price = minor, subtotal = minor and minor * item.quantity }
  end
  return shown
end

-- What a client is told of a change that was refused.
local refusals = {}

function refusals.insufficient_stock(result)
  local left = result.available
  return {
    status = 409, code = "insufficient_stock",
    detail = left == 0 and result.sku .. " is out of stock"
      or ("only %d of %s are available"):format(left, result.sku),
    errors = { { pointer = "/quantity", code = "insufficient_stock",
      detail = left .. " are available", available = left } },
  }
end

function refusals.too_many_pieces()
  return { status = 422, code = "unprocessable", detail = "/quantity must be at most " .. schema.MOST_PIECES,
    errors = { { pointer = "/quantity", code = "range", detail = "must be at most " .. schema.MOST_PIECES } } }
end

function refusals.not_sold(_, wanted)
  return { status = 422, code = "unprocessable", detail = "there is no product " .. wanted.product_id .. " on sale",
    errors = { { pointer = "/productId", code = "not_found", detail = "is not a product on sale" } } }
end

function refusals.too_many_lines()
  return { status = 409, code = "conflict", detail = "a cart has at most " .. schema.MOST_LINES .. " lines" }
end

function refusals.not_offered()
  return { status = 422, code = "unprocessable", detail = "/option is not offered for this cart",
    errors = { { pointer = "/option", code = "not_offered", detail = "is not offered for this cart" } } }
end

function refusals.unpriced()
  return { status = 503, code = "unavailable", headers = { ["Retry-After"] = "1" },
    detail = "the options cannot be known while the cart has no price; try again" }
end

function refusals.no_line()
  problem.not_found "line in the cart"
end

-- Makes the change; `match(cart)` raises when the client's condition is not met, and returns whether there is one: then
-- only that very version may be changed.
local function change(tenant, session, match, wanted)
  local step = step_of(tenant, session)
  local order = { slug = tenant.slug, products = {}, change = wanted, ttl_s = TTL_S }
  for _ = 1, TRIES do
    order.once = match { version = step:version() }
    local ids = step:ids()
    ids[#ids + 1] = wanted.product_id
    look_up(tenant, ids, order.products)
    local result, text, name = step:change(order)
    if name == "conflict" then break end
    problem.check(result, text, name)
    if result.refused then problem.raise(refusals[result.refused](result, wanted)) end
    if not result.again then return view(tenant, result, order.products) end
  end
  problem.too_often "cart"
end

-- Adds pieces of a product, to its line when there is one.
function carts.add(tenant, session, body, match)
  local wanted = schema.item:expect(body, {}, { creating = true })
  return change(tenant, session, match, { kind = "add", product_id = wanted.productId, quantity = wanted.quantity,
    most_pieces = schema.MOST_PIECES, most_lines = schema.MOST_LINES })
end

function carts.set_quantity(tenant, session, id, body, match)
  local wanted = schema.quantity:expect(body, {}, { creating = true })
  return change(tenant, session, match, { kind = "quantity", product_id = id, quantity = wanted.quantity,
    most_pieces = schema.MOST_PIECES })
end

function carts.remove(tenant, session, id, match)
  return change(tenant, session, match, { kind = "remove", product_id = id })
end

function carts.clear(tenant, session, match)
  local version = step_of(tenant, session):version()
  local bound = match { version = version }
  problem.check(stores.cache.cart_delete(tenant.id, session, bound and { version = version } or nil))
end

function carts.set_address(tenant, session, body, match)
  local address = schema.address:expect(body, {}, { creating = true })
  return change(tenant, session, match, { kind = "address", json = json.encode(address) })
end

-- Codes as the shopper typed them, each once whatever its case; what they are worth is the rules' business.
function carts.set_codes(tenant, session, body, match)
  local wanted, seen, codes = schema.codes:expect(body, {}, { creating = true }), {}, {}
  for _, code in ipairs(wanted.codes) do
    local name = code:lower()
    if not seen[name] then codes[#codes + 1] = code end
    seen[name] = true
  end
  return change(tenant, session, match, { kind = "codes", json = json.encode(json.array(codes)) })
end

-- Chooses among the options that the rules offer for this cart now.
function carts.set_shipping(tenant, session, body, match)
  local wanted = schema.shipping:expect(body, {}, { creating = true })
  return change(tenant, session, match, { kind = "option", option = wanted.option })
end

return carts
