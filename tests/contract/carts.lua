-- carts.lua: what services may expect of a cart's step, whatever engine the cache role has.
local tests = {}

local DAY = 86400
local ACME = "acme"

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

local function product(id, fields)
  local made = {
    id = id, sku = "SKU-" .. id, name = "Thing " .. id, price = decimal.new "10.00", status = "active", stock = 100,
    stockPolicy = "deny", category = json.array { "Things" }, attributes = json.object {}, weightGrams = 1,
  }
  for name, value in pairs(fields or {}) do made[name] = value end
  return made
end

-- The products that the shop has: a, b, c … and none that is called otherwise.
local SHOP = {}
for id in ("abcdefgh"):gmatch "." do SHOP[id] = product(id) end

local function known(ids)
  local products = {}
  for _, id in ipairs(ids) do products[id] = SHOP[id] or false end
  return products
end

local function order(change, ids, once)
  change.most_pieces, change.most_lines = change.most_pieces or 1000, change.most_lines or 100
  return { slug = ACME, products = known(ids), change = change, ttl_s = DAY, once = once }
end

local function adding(id, quantity, more)
  return order({ kind = "add", product_id = id, quantity = quantity or 1 }, { id, unpack(more or {}) })
end

local function add(t, store, tenant, id, quantity)
  local step = t.works(store.cart_step(tenant, "s"))
  return t.works(step:change(adding(id, quantity, step:ids())))
end

local function lines(cart)
  local list = {}
  for i, item in ipairs(cart.items) do list[i] = item.productId .. item.quantity end
  return table.concat(list, " ")
end

local function cart_of(t, store, tenant)
  return t.works(store.cart_step(tenant, "s")):cart()
end

test("a cart that is not there is empty, and costs nothing", function(t, store)
  local step = t.works(store.cart_step(t.uuid(), "s"))
  t.equal({ step:version(), step:ids() }, { 0, {} })
  local shown = t.works(step:show { slug = ACME, products = {} })
  local quote = shown.quote
  t.equal({ shown.cart.version, quote.priced, quote.total, #quote.shippingOptions }, { 0, true, 0, 0 })
end)

test("a change is priced and written in one step", function(t, store)
  local tenant = t.uuid()
  local result = add(t, store, tenant, "a", 2)
  t.equal({ lines(result.cart), result.quote.subtotal, result.lines }, { "a2", 2000, { "a" } })
  local stored = t.works(store.cart_load(tenant, "s"))
  t.equal({ stored.version, stored.fields.id, stored.fields.updatedAt },
    { result.cart.version, result.cart.id, result.cart.updatedAt })
  t.equal(stored.fields["item:a"],
    '{"name":"Thing a","position":1,"price":10.00,"productId":"a","quantity":2,"sku":"SKU-a"}')
  t.equal({ stored.fields.subtotal, stored.fields.codes, stored.fields.total },
    { "20.00", "[]", money.format(result.quote.total, 2) })
end)

test("each change does what it says", function(t, store)
  local tenant = t.uuid()
  for _, id in ipairs { "a", "b", "c" } do add(t, store, tenant, id) end
  local function change(wanted)
    local step = t.works(store.cart_step(tenant, "s"))
    return t.works(step:change(order(wanted, step:ids())))
  end
  t.equal(lines(change { kind = "quantity", product_id = "b", quantity = 5 }.cart), "a1 b5 c1")
  t.equal(lines(change { kind = "remove", product_id = "a" }.cart), "b5 c1")
  t.equal(change({ kind = "address", json = '{"country":"US","state":"IL"}' }).cart.address.state, "IL")
  t.equal(change({ kind = "codes", json = '["WELCOME10"]' }).quote.discounts[1].code, "WELCOME10")
  t.equal(change({ kind = "option", option = "express" }).quote.shippingOption, "express")
  local fields = t.works(store.cart_load(tenant, "s")).fields
  t.equal({ fields["item:a"], fields.codes, fields.address, fields.option },
    { nil, '["WELCOME10"]', '{"country":"US","state":"IL"}', "express" })
  t.equal(lines(cart_of(t, store, tenant)), "b5 c1")
end)

test("what is refused changes nothing, and says why", function(t, store)
  local tenant = t.uuid()
  local version = add(t, store, tenant, "a", 2).cart.version
  local function refused(reason, wanted, more)
    local step = t.works(store.cart_step(tenant, "s"))
    local asked = order(wanted, { "a", wanted.product_id })
    for id, entry in pairs(more or {}) do asked.products[id] = entry end
    local result = t.works(step:change(asked))
    t.equal(result.refused, reason)
    return result
  end
  refused("not_sold", { kind = "add", product_id = "nothing", quantity = 1 })
  refused("not_sold", { kind = "add", product_id = "b", quantity = 1 }, { b = product("b", { status = "draft" }) })
  refused("no_line", { kind = "quantity", product_id = "b", quantity = 1 })
  refused("no_line", { kind = "remove", product_id = "b" })
  refused("too_many_lines", { kind = "add", product_id = "b", quantity = 1, most_lines = 1 })
  refused("too_many_pieces", { kind = "add", product_id = "a", quantity = 8, most_pieces = 9 })
  refused("not_offered", { kind = "option", option = "pigeon" })
  t.equal(refused("insufficient_stock", { kind = "add", product_id = "a", quantity = 99 }).available, 100)
  t.equal({ cart_of(t, store, tenant).version, lines(cart_of(t, store, tenant)) }, { version, "a2" })
end)

test("who was not first changes what the other has left", function(t, store)
  local tenant = t.uuid()
  add(t, store, tenant, "a")
  local one = t.works(store.cart_step(tenant, "s"))
  add(t, store, tenant, "b", 3)
  add(t, store, tenant, "a", 4)
  local result = t.works(one:change(adding("a", 2, { "b" })))
  t.equal({ lines(result.cart), result.quote.subtotal }, { "a7 b3", 10000 })
  t.equal(lines(cart_of(t, store, tenant)), "a7 b3")
end)

test("products that are missing for a line are asked for", function(t, store)
  local tenant = t.uuid()
  local one = t.works(store.cart_step(tenant, "s"))
  add(t, store, tenant, "b", 3)
  local asked = adding("a")
  t.equal(t.works(one:change(asked)).again, { "b" })
  asked.products.b = SHOP.b
  t.equal(lines(t.works(one:change(asked)).cart), "b3 a1")
end)

test("who asked for one version only is told of another", function(t, store)
  local tenant = t.uuid()
  add(t, store, tenant, "a")
  local one = t.works(store.cart_step(tenant, "s"))
  local version = add(t, store, tenant, "a").cart.version
  local asked = adding("a")
  asked.once = true
  t.equal(t.works(one:change(asked)).again, { "a" })
  t.equal({ one:version(), lines(cart_of(t, store, tenant)) }, { version, "a2" })
end)

test("tabs that add at once lose nothing", function(t, store)
  local tenant, calls = t.uuid(), {}
  for i = 1, 24 do
    local id = ("abcdefgh"):sub(i % 8 + 1, i % 8 + 1)
    calls[i] = function()
      local step = t.works(store.cart_step(tenant, "s"))
      local result = t.works(step:change(adding(id, i, { "a", "b", "c", "d", "e", "f", "g", "h" })))
      t.equal(result.again, nil)
    end
  end
  for _, result in ipairs(wait_all(calls)) do t.equal({ result.ok, result[1] }, { true }) end
  local sum, cart = 0, cart_of(t, store, tenant)
  for _, item in ipairs(cart.items) do sum = sum + item.quantity end
  t.equal({ #cart.items, sum }, { 8, 300 })
end)

test("a product that no rule can price is refused", function(t, store)
  for _, price in ipairs { "-0.01", "1e3", "free" } do
    local asked = adding("a")
    asked.products.a = product("a", { price = decimal.new(price) or price })
    t.fails("invalid", t.works(store.cart_step(t.uuid(), "s")):change(asked))
  end
end)

test("a price with more digits than the currency has leaves the cart without one", function(t, store)
  local tenant, asked = t.uuid(), adding("a")
  asked.products.a = product("a", { price = decimal.new "1.005" })
  local quote = t.works(t.works(store.cart_step(tenant, "s")):change(asked)).quote
  t.equal(quote.priced, false)
  t.ok(quote.reason:find("1.005", 1, true) and quote.reason:find("settings.currency, USD", 1, true), quote.reason)
  local step = t.works(store.cart_step(tenant, "s"))
  t.equal(step:ids(), { "a" })
  t.equal(t.works(step:change(order({ kind = "remove", product_id = "a" }, { "a" }))).quote.priced, true)
end)

test("an order that is none is refused", function(t, store)
  local step = t.works(store.cart_step(t.uuid(), "s"))
  t.fails("invalid", step:change(order({ kind = "steal" }, {})))
end)

return tests
