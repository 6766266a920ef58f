-- carts.lua: a shopper's cart: kept by session for seven days, priced by the tenant's rules each time it is shown.
--
-- Stored as a hash: `item:<productId>` JSON for each line, then id, codes, address, option, the amounts of the last
-- write and updatedAt. Every change loads, edits and saves against the version it has loaded, and does it again when
-- somebody was faster: two tabs that add at once both succeed.
local problem = require "lib.problem"
local products = require "shop.products"
local schema = require "schema.cart"
local stores = require "stores"

local carts = {}

local TTL_S = 7 * 24 * 3600
local TRIES = 50

-- The cart of a session: { version, id, items = { { productId, quantity, price, sku, name, position } }, codes,
-- address, option, updatedAt }; version 0 and no id when there is none yet.
local function load(tenant, session)
  local stored = problem.check(stores.cache.cart_load(tenant.id, session))
  if not stored then return { version = 0, items = {}, codes = {} } end
  local fields, items = stored.fields, {}
  for name, text in pairs(fields) do
    if name:sub(1, 5) == "item:" then items[#items + 1] = json.decode(text) end
  end
  table.sort(items, function(a, b) return a.position < b.position end)
  return {
    version = stored.version, id = fields.id, items = items, updatedAt = fields.updatedAt, option = fields.option,
    codes = fields.codes and json.decode(fields.codes) or {},
    address = fields.address and json.decode(fields.address),
  }
end

local function products_of(tenant, cart, extra)
  local ids = { extra }
  for _, item in ipairs(cart.items) do ids[#ids + 1] = item.productId end
  return products.by_ids(tenant, ids)
end

local function is_sold(product)
  return product ~= nil and product.status == "active"
end

-- What can be had of a product, or nil when it may be ordered beyond its stock.
local function available(product)
  if product.stockPolicy == "continue" then return nil end
  return math.max(product.stock, 0)
end

local function line_of(item, product, minor)
  return {
    productId = item.productId, sku = product.sku, name = product.name, price = minor, quantity = item.quantity,
    category = product.category, attributes = product.attributes, weightGrams = product.weightGrams,
  }
end

-- Nothing to buy costs nothing, whatever the rules say of shipping.
local function empty_quote(edition)
  return {
    priced = true, ruleEdition = edition, subtotal = 0, discount = 0, shipping = 0, tax = 0, taxIncluded = 0, total = 0,
    discounts = {}, taxLines = {}, shippingOptions = {}, violations = {}, explain = {},
  }
end

-- The quote of the tenant's rules for the lines that can be bought now, at today's prices, and those lines' items.
local function quote_of(tenant, cart, by_id, digits, explain)
  local lines, items = {}, {}
  for _, item in ipairs(cart.items) do
    local product = by_id[item.productId]
    if is_sold(product) then
      lines[#lines + 1] = line_of(item, product, money.parse(product.price, digits))
      items[#lines] = item
    end
  end
  local quote = problem.check(rules.price(tenant.slug, {
    items = lines, codes = cart.codes, address = cart.address, option = cart.option,
    customer = { group = "guest" }, channel = "web", explain = explain or false,
  }))
  if #lines == 0 and quote.priced then return empty_quote(quote.ruleEdition), items end
  return quote, items
end

local function shown_item(item, product, digits)
  local price = is_sold(product) and product.price or item.price
  local minor, before = money.parse(price, digits), money.parse(item.price, digits)
  local shown = {
    productId = item.productId, quantity = item.quantity,
    sku = product and product.sku or item.sku, name = product and product.name or item.name,
    price = money.decimal(minor, digits), subtotal = money.decimal(minor * item.quantity, digits),
    attributes = product and product.attributes or json.object {},
  }
  if minor ~= before then
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
local function name_lines(list, items)
  for _, entry in ipairs(list) do
    local item = type(entry.line) == "number" and items[entry.line]
    if item then entry.productId = item.productId end
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
local function view(tenant, cart, by_id, quote, lines, explain)
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
  if explain then shown.explain = name_lines(decimals(quote.explain, digits), lines) end
  return shown
end

-- The cart as it is now.
function carts.get(tenant, session, explain)
  local cart = load(tenant, session)
  local by_id = products_of(tenant, cart)
  local quote, lines = quote_of(tenant, cart, by_id, products.context(tenant).digits, explain)
  return view(tenant, cart, by_id, quote, lines, explain)
end

-- The cart without a price, for a tenant's own pages: amounts in minor units, as in the rules.
function carts.peek(tenant, session)
  local cart, digits = load(tenant, session), products.context(tenant).digits
  local shown = { id = cart.id, codes = cart.codes, items = {} }
  for i, item in ipairs(cart.items) do
    local minor = money.parse(item.price, digits)
    shown.items[i] = { productId = item.productId, sku = item.sku, name = item.name, quantity = item.quantity,
      price = minor, subtotal = minor * item.quantity }
  end
  return shown
end

-- The hash fields of a cart, and those that are to go.
local function fields_of(cart, before, quote, digits)
  local set = {
    id = cart.id, updatedAt = cart.updatedAt, codes = json.encode(json.array(cart.codes)),
    address = cart.address and json.encode(cart.address), option = cart.option,
  }
  local unset = {}
  for _, item in ipairs(cart.items) do set["item:" .. item.productId] = json.encode(item) end
  for name in pairs(before) do
    if not set[name] then unset[#unset + 1] = name end
  end
  for _, name in ipairs(AMOUNTS) do
    if quote.priced then set[name] = money.format(quote[name], digits) else unset[#unset + 1] = name end
  end
  if not cart.option then unset[#unset + 1] = "option" end
  return set, unset
end

local function item_names(cart)
  local names = {}
  for _, item in ipairs(cart.items) do names["item:" .. item.productId] = true end
  return names
end

-- A write takes on today's prices: what the shopper was shown as changed is settled by it.
local function settle_prices(cart, by_id)
  for _, item in ipairs(cart.items) do
    local product = by_id[item.productId]
    if is_sold(product) then item.price, item.sku, item.name = product.price, product.sku, product.name end
  end
end

-- Edits the cart by edit(cart, products by id) and saves it; `match(cart)` raises when the client's condition is not
-- met; `extra` is the id of a product that the edit needs.
local function change(tenant, session, match, extra, edit)
  local digits = products.context(tenant).digits
  for _ = 1, TRIES do
    local cart = load(tenant, session)
    match(cart)
    local before, by_id = item_names(cart), products_of(tenant, cart, extra)
    edit(cart, by_id)
    settle_prices(cart, by_id)
    cart.id, cart.updatedAt = cart.id or ident.uuid(), clock.iso(clock.now_ms())
    local quote, lines = quote_of(tenant, cart, by_id, digits)
    local set, unset = fields_of(cart, before, quote, digits)
    local version, text, name = stores.cache.cart_save(tenant.id, session,
      { version = cart.version, set = set, unset = unset, ttl_s = TTL_S })
    if version then
      cart.version = version
      return view(tenant, cart, by_id, quote, lines, false)
    end
    if name ~= "precondition_failed" then problem.of_failure(text, name) end
  end
  problem.raise { status = 409, code = "conflict", detail = "the cart changes too often; try again" }
end

local function find(cart, id)
  for i, item in ipairs(cart.items) do
    if item.productId == id then return item, i end
  end
end

local function refuse_quantity(product, left)
  problem.raise {
    status = 409, code = "insufficient_stock",
    detail = left == 0 and product.sku .. " is out of stock"
      or ("only %d of %s are available"):format(left, product.sku),
    errors = { { pointer = "/quantity", code = "insufficient_stock",
      detail = left .. " are available", available = left } },
  }
end

local function set_quantity(item, product, quantity)
  if quantity > schema.MOST_PIECES then
    problem.raise { status = 422, code = "unprocessable", detail = "/quantity must be at most " .. schema.MOST_PIECES,
      errors = { { pointer = "/quantity", code = "range", detail = "must be at most " .. schema.MOST_PIECES } } }
  end
  local left = available(product)
  if left and quantity > left then refuse_quantity(product, left) end
  item.quantity = quantity
end

local function refuse_product(id)
  problem.raise { status = 422, code = "unprocessable", detail = "there is no product " .. id .. " on sale",
    errors = { { pointer = "/productId", code = "not_found", detail = "is not a product on sale" } } }
end

local function new_item(cart, product)
  if #cart.items >= schema.MOST_LINES then
    problem.raise { status = 409, code = "conflict",
      detail = "a cart has at most " .. schema.MOST_LINES .. " lines" }
  end
  local last = cart.items[#cart.items]
  local position = last and last.position + 1 or 1
  local item = { productId = product.id, quantity = 0, price = product.price, position = position }
  cart.items[#cart.items + 1] = item
  return item
end

-- Adds pieces of a product, to its line when there is one.
function carts.add(tenant, session, body, match)
  local wanted = schema.item:expect(body, {}, { creating = true })
  return change(tenant, session, match, wanted.productId, function(cart, by_id)
    local product = by_id[wanted.productId]
    if not is_sold(product) then refuse_product(wanted.productId) end
    local item = find(cart, product.id) or new_item(cart, product)
    set_quantity(item, product, item.quantity + wanted.quantity)
  end)
end

function carts.set_quantity(tenant, session, id, body, match)
  local wanted = schema.quantity:expect(body, {}, { creating = true })
  return change(tenant, session, match, id, function(cart, by_id)
    local item = find(cart, id)
    if not item then problem.not_found "line in the cart" end
    if not is_sold(by_id[id]) then refuse_product(id) end
    set_quantity(item, by_id[id], wanted.quantity)
  end)
end

function carts.remove(tenant, session, id, match)
  return change(tenant, session, match, nil, function(cart)
    local item, i = find(cart, id)
    if not item then problem.not_found "line in the cart" end
    table.remove(cart.items, i)
  end)
end

function carts.clear(tenant, session, match)
  local cart = load(tenant, session)
  if match(cart) then
    problem.check(stores.cache.cart_delete(tenant.id, session, { version = cart.version }))
  else
    problem.check(stores.cache.cart_delete(tenant.id, session))
  end
end

function carts.set_address(tenant, session, body, match)
  local address = schema.address:expect(body, {}, { creating = true })
  return change(tenant, session, match, nil, function(cart) cart.address = address end)
end

-- Codes as the shopper typed them, each once whatever its case; what they are worth is the rules' business.
function carts.set_codes(tenant, session, body, match)
  local wanted, seen, codes = schema.codes:expect(body, {}, { creating = true }), {}, {}
  for _, code in ipairs(wanted.codes) do
    local name = code:lower()
    if not seen[name] then codes[#codes + 1] = code end
    seen[name] = true
  end
  return change(tenant, session, match, nil, function(cart) cart.codes = codes end)
end

local function has_option(options, id)
  for _, option in ipairs(options or {}) do
    if option.id == id then return true end
  end
  return false
end

-- Chooses among the options that the rules offer for this cart now.
function carts.set_shipping(tenant, session, body, match)
  local wanted = schema.shipping:expect(body, {}, { creating = true })
  local digits = products.context(tenant).digits
  return change(tenant, session, match, nil, function(cart, by_id)
    local quote = quote_of(tenant, cart, by_id, digits)
    if not quote.priced then
      -- Kept unchecked, it could be an option that was never offered.
      problem.raise { status = 503, code = "unavailable", headers = { ["Retry-After"] = "1" },
        detail = "the options cannot be known while the cart has no price; try again" }
    end
    if not has_option(quote.shippingOptions, wanted.option) then
      problem.raise { status = 422, code = "unprocessable", detail = "/option is not offered for this cart",
        errors = { { pointer = "/option", code = "not_offered", detail = "is not offered for this cart" } } }
    end
    cart.option = wanted.option
  end)
end

return carts
