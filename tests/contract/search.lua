-- search.lua: what every engine of the search role must do.
local tests = {}

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

local function product(id, name, more)
  local doc = {
    id = id, sku = "SKU-" .. id, name = name, price = decimal.new "10.00", currency = "USD",
    category = json.array { "Things" }, attributes = json.object {}, stock = 1, status = "active",
    createdAt = "2024-11-21T10:00:00.000Z",
  }
  for key, value in pairs(more or {}) do doc[key] = value end
  return doc
end

local function ask(t, store, tenant, wanted)
  return t.works(store.query(tenant, wanted))
end

local function ids(t, store, tenant, wanted)
  return t.pluck(ask(t, store, tenant, wanted).items, "id")
end

local function sorted_ids(t, store, tenant, wanted)
  local list = ids(t, store, tenant, wanted)
  table.sort(list)
  return list
end

-- A shop of six products.
local function shop(t, store)
  local tenant = t.uuid()
  t.works(store.put_many(tenant, {
    product("a", "Wireless Mouse", { description = "Ergonomic", category = json.array { "Electronics", "Mice" },
      attributes = { color = "Black", brand = "TechBrand" }, price = decimal.new "29.99",
      createdAt = "2024-01-01T00:00:00.000Z" }),
    product("b", "Wired Mouse", { category = json.array { "Electronics", "Mice" }, attributes = { color = "White" },
      price = decimal.new "9.99", createdAt = "2024-02-01T00:00:00.000Z" }),
    product("c", "Keyboard", { description = "goes well with a mouse", category = json.array { "Electronics" },
      attributes = { color = "Black", layout = "DE" }, price = decimal.new "59.00",
      createdAt = "2024-03-01T00:00:00.000Z" }),
    product("d", "Café Crème Batteries", { category = json.array { "Food" }, price = decimal.new "100.00",
      createdAt = "2024-04-01T00:00:00.000Z" }),
    product("e", "Hidden Mouse", { status = "draft", category = json.array { "Mice" },
      createdAt = "2024-05-01T00:00:00.000Z" }),
    product("f", "Monitor", { sku = "MON-27X", category = json.array { "Electronics" }, attributes = { size = 27 },
      price = decimal.new "250.00", createdAt = "2024-06-01T00:00:00.000Z" }),
  }))
  return tenant
end

local ACTIVE = { status = "active" }

test("text is found in names, descriptions and SKUs, names first", function(t, store)
  local tenant = shop(t, store)
  local found = ask(t, store, tenant, { q = "mouse", filters = ACTIVE })
  t.equal(found.total, 3)
  t.equal(found.items[3].id, "c", "the one that only mentions it is last")
  t.ok(found.items[1].score > found.items[3].score, "the scores fall")
  t.equal(ids(t, store, tenant, { q = "MON-27X", filters = ACTIVE })[1], "f")
  t.equal(ids(t, store, tenant, { q = "wireless mouse", filters = ACTIVE })[1], "a")
end)

test("words match in any case, form and accent", function(t, store)
  local tenant = shop(t, store)
  t.equal(ids(t, store, tenant, { q = "KEYBOARDS" }), { "c" })
  t.equal(ids(t, store, tenant, { q = "cafe creme" }), { "d" })
  t.equal(ids(t, store, tenant, { q = "battery" }), { "d" })
end)

test("mistyped words find what was meant", function(t, store)
  local tenant = shop(t, store)
  t.equal(ids(t, store, tenant, { q = "keybaord", filters = ACTIVE }), { "c" })
  t.equal(ids(t, store, tenant, { q = "monitro", filters = ACTIVE }), { "f" })
  t.equal(ids(t, store, tenant, { q = "wirless", filters = ACTIVE })[1], "a")
  t.equal(ids(t, store, tenant, { q = "eyboard", filters = ACTIVE }), { "c" })
  t.equal(ids(t, store, tenant, { q = "xylophone", filters = ACTIVE }), {})
end)

-- Scripts without spaces between their words.
local function far_east(t, store)
  local tenant = t.uuid()
  t.works(store.put_many(tenant, {
    product("j", "登山用テント二人用", { description = "SONY製の軽いテントです。" }),
    product("k", "한국어 등산화", { description = "가벼운" }),
    product("l", "双人登山帐篷"),
    product("m", "Tent 𠮷野家"),
  }))
  return tenant
end

test("words inside of a longer run are found", function(t, store)
  local tenant = far_east(t, store)
  for q, id in pairs { ["テント"] = "j", ["二人用"] = "j", ["登山用"] = "j", ["軽い"] = "j", ["sony"] = "j", ["ント二"] = "j",
    ["등산"] = "k", ["국어"] = "k", ["帐篷"] = "l", ["双人登山帐篷"] = "l", ["𠮷野"] = "m", ["tent"] = "m" } do
    t.equal(ids(t, store, tenant, { q = q }), { id }, q)
  end
  t.equal(sorted_ids(t, store, tenant, { q = "登山" }), { "j", "l" })
  t.equal(ids(t, store, tenant, { q = "トテン" })[1], "j", "no product has it, but its parts")
  t.equal(ids(t, store, tenant, { q = "日本語" }), {})
  t.equal(store.suggest(tenant, "登", 10), { "登山用テント二人用", "双人登山帐篷" })
  t.equal(store.suggest(tenant, "二人", 10), { "登山用テント二人用" })
end)

test("such a name can be changed and taken out", function(t, store)
  local tenant = far_east(t, store)
  t.works(store.put(tenant, product("j", "寝袋")))
  t.equal(ids(t, store, tenant, { q = "テント" }), {})
  t.equal(ids(t, store, tenant, { q = "寝袋" }), { "j" })
  t.works(store.remove(tenant, "j"))
  t.equal(ids(t, store, tenant, { q = "寝袋" }), {})
  t.equal(store.suggest(tenant, "寝", 10), {})
end)

test("whatever is typed is only text", function(t, store)
  local tenant = shop(t, store)
  for _, q in ipairs { '"', "mouse AND", "NOT mouse", "name:mouse", "mouse*", "(", "^", "a - b", "'; DROP", "\0", "{}",
    "tenant_word : x", ("x"):rep(2000), ("word "):rep(500), "\255\254", "日本語" } do
    ask(t, store, tenant, { q = q })
    t.works(store.suggest(tenant, q, 5))
  end
  t.equal(ask(t, store, tenant, { q = "!?" }).total, 0)
  t.equal(ask(t, store, tenant, { q = " " }).total, 6)
end)

test("tenants do not see each other", function(t, store)
  local one, two = shop(t, store), t.uuid()
  t.works(store.put(two, product("a", "Their Mouse")))
  t.equal(ids(t, store, two, { q = "mouse" }), { "a" })
  t.equal(store.suggest(two, "mou", 10), { "Their Mouse" })
  t.equal(ask(t, store, two, { q = "keybaord" }).total, 0)
  t.works(store.clear(two))
  t.equal(ask(t, store, two, {}).total, 0)
  t.equal(ask(t, store, one, {}).total, 6)
end)

test("putting again replaces, removing removes", function(t, store)
  local tenant = shop(t, store)
  t.works(store.put(tenant, product("a", "Trackball", { category = json.array { "Balls" },
    attributes = { color = "Red" }, price = decimal.new "5.00" })))
  t.equal(ids(t, store, tenant, { q = "wireless" }), {})
  t.equal(ids(t, store, tenant, { q = "trackball" }), { "a" })
  t.equal(ids(t, store, tenant, { filters = { category = { "Balls" } } }), { "a" })
  t.equal(ids(t, store, tenant, { filters = { maxPrice = 500 } }), { "a" })
  t.equal(store.remove(tenant, "a"), true)
  t.equal(ask(t, store, tenant, { q = "trackball" }).total, 0)
  t.equal(store.remove(tenant, "a"), true)
  t.equal(ask(t, store, tenant, {}).total, 5)
end)

test("filters: any value of a field, every field", function(t, store)
  local tenant = shop(t, store)
  local function find(filters)
    return sorted_ids(t, store, tenant, { filters = filters })
  end
  t.equal(find { status = "draft" }, { "e" })
  t.equal(find { category = { "Mice" }, status = "active" }, { "a", "b" })
  t.equal(find { category = { "Mice", "Food" } }, { "a", "b", "d", "e" })
  t.equal(find { attributes = { color = { "Black" } } }, { "a", "c" })
  t.equal(find { attributes = { color = { "Black", "White" }, brand = { "TechBrand" } } }, { "a" })
  t.equal(find { attributes = { size = { "27" } } }, { "f" })
  t.equal(find { minPrice = 2999, maxPrice = 5900 }, { "a", "c" })
  t.equal(find { minPrice = 3000, category = { "Electronics" } }, { "c", "f" })
  t.equal(sorted_ids(t, store, tenant, { q = "mouse", filters = { attributes = { color = { "White" } } } }), { "b" })
end)

test("sorts by price, name and date, else the newest first", function(t, store)
  local tenant = shop(t, store)
  local function find(sort)
    return table.concat(ids(t, store, tenant, { filters = ACTIVE, sort = sort }))
  end
  t.equal(find { "price", "asc" }, "bacdf")
  t.equal(find { "price", "desc" }, "fdcab")
  t.equal(find { "name", "asc" }, "dcfba")
  t.equal(find { "createdAt", "asc" }, "abcdf")
  t.equal(find(nil), "fdcba")
  t.fails("invalid", store.query(tenant, { sort = { "secret", "asc" } }))
end)

test("pages have the size asked for and the total of all", function(t, store)
  local tenant = shop(t, store)
  local page = ask(t, store, tenant, { sort = { "price", "asc" }, filters = ACTIVE, size = 2, skip = 2 })
  t.equal({ t.pluck(page.items, "id"), page.total }, { { "c", "d" }, 5 })
  page = ask(t, store, tenant, { filters = ACTIVE, size = 2, skip = 10 })
  t.equal({ #page.items, page.total, page.facets }, { 0, 5, nil })
end)

test("facets count categories, prices and attributes", function(t, store)
  local tenant = shop(t, store)
  local facets = ask(t, store, tenant, { filters = ACTIVE, facets = true, priceRanges = { 1000, 5000, 10000 } }).facets
  t.equal(facets.categories, { { value = "Electronics", count = 4 }, { value = "Mice", count = 2 },
    { value = "Food", count = 1 } })
  t.equal(facets.priceRanges, { { to = 1000, count = 1 }, { from = 1000, to = 5000, count = 1 },
    { from = 5000, to = 10000, count = 1 }, { from = 10000, count = 2 } })
  t.equal(facets.attributes.color, { { value = "Black", count = 2 }, { value = "White", count = 1 } })
  t.equal(facets.attributes.size, { { value = "27", count = 1 } })
end)

test("facets follow the text and the other filters, not their own", function(t, store)
  local tenant = shop(t, store)
  local facets = ask(t, store, tenant, { q = "mouse", facets = true,
    filters = { status = "active", attributes = { color = { "White" } }, category = { "Mice" } } }).facets
  t.equal(facets.categories, { { value = "Electronics", count = 1 }, { value = "Mice", count = 1 } })
  t.equal(facets.attributes.color, { { value = "Black", count = 1 }, { value = "White", count = 1 } })
  t.equal(facets.attributes.brand, nil)
  facets = ask(t, store, tenant, { q = "xylophone", facets = true, priceRanges = { 100 } }).facets
  t.equal({ facets.categories, facets.attributes }, { {}, {} })
  t.equal(t.pluck(facets.priceRanges, "count"), { 0, 0 })
end)

test("facets keep to 20 values, the chosen ones among them", function(t, store)
  local tenant, products = t.uuid(), {}
  for i = 1, 30 do
    local shown = ("%02d"):format(i)
    products[2 * i - 1] = product("x" .. i, "Lamp", { category = json.array { "C" .. shown },
      attributes = { size = shown } })
    products[2 * i] = product("y" .. i, "Lamp", { category = json.array { i < 25 and "C" .. shown or "Rest" } })
  end
  t.works(store.put_many(tenant, products))
  local facets = ask(t, store, tenant, { facets = true }).facets
  t.equal({ #facets.categories, #facets.attributes.size, facets.categories[20].value }, { 20, 20, "C19" })
  facets = ask(t, store, tenant, { facets = true,
    filters = { category = { "C30", "none" }, attributes = { size = { "30" } } } }).facets
  t.equal(facets.categories, { { value = "C30", count = 1 }, { value = "none", count = 0 } })
  t.equal({ #facets.attributes.size, facets.attributes.size[1] }, { 1, { value = "30", count = 1 } })
  facets = ask(t, store, tenant, { facets = true, filters = { category = { "C30" } } }).facets
  t.equal({ #facets.categories, facets.categories[1].value, facets.categories[20] },
    { 20, "Rest", { value = "C30", count = 1 } })
  facets = ask(t, store, tenant, { q = "xylophone", facets = true,
    filters = { attributes = { size = { "30" } } } }).facets
  t.equal(facets.attributes, { size = { { value = "30", count = 0 } } })
end)

test("suggestions complete the last word of active names", function(t, store)
  local tenant = shop(t, store)
  t.equal(store.suggest(tenant, "mou", 10), { "Wired Mouse", "Wireless Mouse" })
  t.equal(store.suggest(tenant, "Wirel", 10), { "Wireless Mouse" })
  t.equal(store.suggest(tenant, "mouse wire", 10), { "Wired Mouse", "Wireless Mouse" })
  t.equal(store.suggest(tenant, "cafe cr", 10), { "Café Crème Batteries" })
  t.equal(store.suggest(tenant, "mou", 1), { "Wired Mouse" })
  t.equal(store.suggest(tenant, "zzz", 10), {})
  t.equal(store.suggest(tenant, "", 10), {})
end)

return tests
