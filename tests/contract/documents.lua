-- documents.lua: what every engine of the documents role must do.
local tests = {}

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- A product as a handler would store it; `more` overrides.
local function product(t, more)
  local doc = {
    id = t.uuid(), sku = "SKU-" .. t.uuid(), name = "Mouse", price = decimal.new "29.99", currency = "USD",
    category = json.array { "Electronics" }, attributes = json.object {}, stock = 5, status = "active", version = 1,
    createdAt = "2024-11-21T10:00:00.000Z",
  }
  for key, value in pairs(more or {}) do doc[key] = value end
  return doc
end

local function insert(t, store, tenant, more)
  return t.works(store.insert(tenant, "products", product(t, more)))
end

local function ids(t, list)
  return t.pluck(list, "id")
end

-- Several products named a, b, c … with one field each.
local function fill(t, store, tenant, field, values)
  for i, value in ipairs(values) do
    insert(t, store, tenant, { id = ("%c"):format(96 + i), [field] = value })
  end
end

test("a document comes back as it went in", function(t, store)
  local tenant, doc = t.uuid(), product(t, {
    description = "Größe \"M\"\n日本", images = json.array {}, trackingNumber = json.null, pending = true,
    nested = { deep = json.array { 1, json.object {}, "x" } },
  })
  t.works(store.insert(tenant, "products", doc))
  local found = t.works(store.get(tenant, "products", doc.id))
  t.equal(found, doc)
  t.equal(json.encode(found.images), "[]", "an empty list")
  t.equal(json.encode(found.attributes), "{}", "an empty object")
end)

test("amounts keep every digit, whatever changes beside them", function(t, store)
  local tenant = t.uuid()
  local doc = insert(t, store, tenant, { price = decimal.new "29.90", big = decimal.new "12345678901234567890.125" })
  t.works(store.update(tenant, "products", doc.id, { inc = { stock = -1 }, set = { name = "Other" } }))
  local found = t.works(store.get(tenant, "products", doc.id))
  t.equal(tostring(found.price), "29.90")
  t.equal(tostring(found.big), "12345678901234567890.125")
  t.equal({ found.stock, found.name }, { 4, "Other" })
end)

test("what is absent is nil without an error", function(t, store)
  local value, text, name = store.get(t.uuid(), "products", t.uuid())
  t.equal({ value, text, name }, {})
  local list, position = store.find(t.uuid(), "products", {})
  t.equal({ list, position }, { {} })
  t.equal(store.count(t.uuid(), "products"), 0)
end)

test("an unknown collection or a missing tenant is invalid", function(t, store)
  t.fails("invalid", store.get(t.uuid(), "nonsense", "x"))
  t.fails("invalid", store.get(nil, "products", "x"))
  t.fails("invalid", store.get("", "products", "x"))
  t.fails("invalid", store.insert(t.uuid(), "products", { sku = "no id" }))
end)

test("tenants do not see each other", function(t, store)
  local one, two = t.uuid(), t.uuid()
  local doc = insert(t, store, one, { sku = "SAME" })
  insert(t, store, two, { sku = "SAME", id = doc.id, name = "Theirs" })
  t.equal(store.get(one, "products", doc.id).name, "Mouse")
  t.equal(store.get(two, "products", doc.id).name, "Theirs")
  t.works(store.update(one, "products", doc.id, { set = { name = "Ours" } }))
  t.equal(store.delete_all(one, "products"), 1)
  t.equal(store.get(two, "products", doc.id).name, "Theirs")
end)

test("a unique field that is taken is a conflict that names it", function(t, store)
  local tenant = t.uuid()
  local doc = insert(t, store, tenant, { sku = "TAKEN" })
  local other = insert(t, store, tenant, { sku = "FREE" })
  t.ok(t.fails("conflict", store.insert(tenant, "products", product(t, { sku = "TAKEN" }))):find "sku", "sku is named")
  t.ok(t.fails("conflict", store.insert(tenant, "products", product(t, { id = doc.id }))):find "id", "id is named")
  t.ok(t.fails("conflict", store.update(tenant, "products", other.id, { set = { sku = "TAKEN" } })):find "sku")
  other.sku = "TAKEN"
  t.fails("conflict", store.replace(tenant, "products", other.id, other))
  t.equal(store.get(tenant, "products", other.id).sku, "FREE")
end)

test("hosts of tenants are unique, and may be absent", function(t, store)
  local function tenant(more)
    local doc = { id = t.uuid(), slug = "s" .. t.uuid(), subdomain = "d" .. t.uuid(), name = "Shop" }
    for key, value in pairs(more or {}) do doc[key] = value end
    return doc
  end
  local one = tenant { customDomain = t.uuid() .. ".example" }
  t.works(store.insert("*", "tenants", one))
  local two, three = tenant(), tenant { customDomain = json.null }
  t.works(store.insert("*", "tenants", two))
  t.works(store.insert("*", "tenants", three))
  t.ok(t.fails("conflict", store.insert("*", "tenants", tenant { subdomain = one.subdomain })):find "subdomain")
  local text = t.fails("conflict", store.insert("*", "tenants", tenant { customDomain = one.customDomain }))
  t.ok(text:find "customDomain", "the field is named")
  local found = store.find("*", "tenants", { filter = { customDomain = one.customDomain } })
  t.equal(ids(t, found), { one.id })
  for _, doc in ipairs { one, two, three } do t.works(store.delete("*", "tenants", doc.id)) end
end)

test("order numbers are unique and orders are found by the customer's address", function(t, store)
  local tenant = t.uuid()
  local function order(number, email)
    return store.insert(tenant, "orders", { id = t.uuid(), orderNumber = number, customer = { email = email },
      status = "pending", createdAt = "2024-11-21T10:00:00.000Z" })
  end
  t.works(order("ORD-1", "a@example.com"))
  t.works(order("ORD-2", "b@example.com"))
  t.fails("conflict", order("ORD-1", "c@example.com"))
  local found = store.find(tenant, "orders", { filter = { ["customer.email"] = "b@example.com" } })
  t.equal(t.pluck(found, "orderNumber"), { "ORD-2" })
end)

test("many are inserted at once, and a bad one does not keep the others out", function(t, store)
  local tenant = t.uuid()
  local a, b, c = product(t), product(t), product(t)
  b.sku = a.sku
  local outcomes = t.works(store.insert_many(tenant, "products", { a, b, c }))
  t.equal(outcomes[1], { ok = true, id = a.id })
  t.equal({ outcomes[2].ok, outcomes[2].error }, { false, "conflict" })
  t.ok(outcomes[2].detail:find "sku", "the field is named")
  t.equal(outcomes[3], { ok = true, id = c.id })
  t.equal(store.count(tenant, "products"), 2)
end)

test("replace asks for the version when told", function(t, store)
  local tenant = t.uuid()
  local doc = insert(t, store, tenant)
  doc.version, doc.name, doc.status = 2, "New", nil
  t.works(store.replace(tenant, "products", doc.id, doc, { version = 1 }))
  t.fails("precondition_failed", store.replace(tenant, "products", doc.id, doc, { version = 1 }))
  t.equal(store.get(tenant, "products", doc.id), doc)
  local absent = product(t)
  t.fails("not_found", store.replace(tenant, "products", absent.id, absent))
  t.fails("not_found", store.replace(tenant, "products", absent.id, absent, { version = 1 }))
end)

test("update sets, removes and adds, in nested fields too", function(t, store)
  local tenant = t.uuid()
  local doc = insert(t, store, tenant, { pending = true, settings = { a = 1 } })
  local after = t.works(store.update(tenant, "products", doc.id, {
    set = { ["settings.b"] = json.array {}, price = decimal.new "10.50", note = json.null },
    unset = { "pending", "settings.a" }, inc = { version = 1, ["settings.count"] = 3 },
  }))
  t.equal(after, store.get(tenant, "products", doc.id))
  t.equal(json.encode(after.settings), '{"b":[],"count":3}')
  t.equal({ after.pending, after.version, tostring(after.price) }, { nil, 2, "10.50" })
  t.equal(after.note, json.null)
end)

test("update with a guard changes only what meets it", function(t, store)
  local tenant = t.uuid()
  local doc = insert(t, store, tenant, { stock = 3 })
  local take = { inc = { stock = -2 }, guard = { stock = { gte = 2 }, status = "active" } }
  t.equal(t.works(store.update(tenant, "products", doc.id, take)).stock, 1)
  t.fails("precondition_failed", store.update(tenant, "products", doc.id, take))
  t.fails("not_found", store.update(tenant, "products", t.uuid(), take))
  t.fails("precondition_failed", store.update(tenant, "products", doc.id, { inc = { name = 1 } }))
  t.equal(store.get(tenant, "products", doc.id).stock, 1)
end)

test("of changes side by side none is lost", function(t, store)
  local tenant, calls = t.uuid(), {}
  local doc = insert(t, store, tenant, { stock = 30 })
  for i = 1, 40 do
    calls[i] = function()
      return store.update(tenant, "products", doc.id, { inc = { stock = -1 }, guard = { stock = { gte = 1 } } }) ~= nil
    end
  end
  local sold = 0
  for _, result in ipairs(wait_all(calls)) do
    if result.ok and result[1] then sold = sold + 1 end
  end
  t.equal({ sold, store.get(tenant, "products", doc.id).stock }, { 30, 0 })
end)

test("delete asks for the version when told", function(t, store)
  local tenant = t.uuid()
  local doc = insert(t, store, tenant, { category = json.array { "A" } })
  t.fails("precondition_failed", store.delete(tenant, "products", doc.id, { version = 2 }))
  t.equal(store.delete(tenant, "products", doc.id, { version = 1 }), true)
  t.fails("not_found", store.delete(tenant, "products", doc.id))
  t.equal(#store.find(tenant, "products", { filter = { category = "A" } }), 0)
  insert(t, store, tenant, { sku = doc.sku })
end)

test("filters compare texts, numbers, truth and absence", function(t, store)
  local tenant = t.uuid()
  fill(t, store, tenant, "stock", { 1, 2, 3, 4 })
  t.works(store.update(tenant, "products", "a", { set = { pending = true, status = "draft" } }))
  local function find(filter)
    return ids(t, t.works(store.find(tenant, "products", { filter = filter })))
  end
  t.equal(find { stock = 2 }, { "b" })
  t.equal(find { stock = { gte = 2, lt = 4 } }, { "b", "c" })
  t.equal(find { stock = { gt = 3 } }, { "d" })
  t.equal(find { stock = { lte = 2 }, status = "active" }, { "b" })
  t.equal(find { pending = true }, { "a" })
  t.equal(find { pending = json.null }, { "b", "c", "d" })
  t.equal(find { id = { ["in"] = { "d", "a", "z" } } }, { "a", "d" })
  t.equal(find { id = { ["in"] = {} } }, {})
  t.equal(find { stock = "2" }, {})
  t.equal(store.count(tenant, "products", { stock = { gte = 2 } }), 3)
  t.fails("invalid", store.find(tenant, "products", { filter = { stock = { near = 2 } } }))
  t.fails("invalid", store.find(tenant, "products", { filter = { ['a"b'] = 2 } }))
end)

test("elements of lists are found, and change with the list", function(t, store)
  local tenant = t.uuid()
  fill(t, store, tenant, "category", { json.array { "X", "Y" }, json.array { "Y" }, json.array {} })
  local function find(filter)
    return ids(t, t.works(store.find(tenant, "products", { filter = filter })))
  end
  t.equal(find { category = "Y" }, { "a", "b" })
  t.equal(find { category = { contains = "X" } }, { "a" })
  t.equal(find { category = { ["in"] = { "X", "Y" } } }, { "a", "b" })
  t.works(store.update(tenant, "products", "b", { set = { category = json.array { "Z" } } }))
  t.equal(find { category = "Y" }, { "a" })
  t.equal(find { category = "Z" }, { "b" })
  t.works(store.update(tenant, "products", "c", { set = { tags = json.array { "new", "old" } } }))
  t.equal(find { tags = { contains = "old" } }, { "c" })
end)

test("prices compare exactly, in each document's own currency", function(t, store)
  local tenant = t.uuid()
  local prices = { decimal.new "0.10", decimal.new "0.30", decimal.new "29.99", 30, decimal.new "9.5" }
  fill(t, store, tenant, "price", prices)
  t.works(store.update(tenant, "products", "d", { set = { currency = "JPY" } }))
  local function find(filter, sort)
    return ids(t, t.works(store.find(tenant, "products", { filter = filter, sort = sort })))
  end
  t.equal(find { price = { gte = decimal.new "0.30", lte = decimal.new "29.99" } }, { "b", "c", "e" })
  t.equal(find { price = decimal.new "29.990" }, { "c" })
  t.equal(find { price = 30 }, { "d" })
  t.equal(find { price = { gte = 30 }, currency = "JPY" }, { "d" })
  t.equal(find { price = { gte = decimal.new "9.50" }, currency = "USD" }, { "c", "e" })
  t.equal(find { price = { ["in"] = { decimal.new "0.10", 30 } } }, { "a", "d" })
  t.equal(find({ currency = "USD" }, { { "price", "desc" } }), { "c", "e", "b", "a" })
  t.works(store.update(tenant, "products", "a", { set = { price = decimal.new "100.00" } }))
  t.equal(find { price = { gt = 50 } }, { "a" })
end)

test("sorts by several keys, the id deciding last in the last key's direction", function(t, store)
  local tenant = t.uuid()
  fill(t, store, tenant, "stock", { 2, 1, 2, 1 })
  local function find(sort)
    return ids(t, t.works(store.find(tenant, "products", { sort = sort })))
  end
  t.equal(find(nil), { "a", "b", "c", "d" })
  t.equal(find { { "stock", "asc" } }, { "b", "d", "a", "c" })
  t.equal(find { { "stock", "desc" } }, { "c", "a", "d", "b" })
  t.equal(find { { "stock", "desc" }, { "id", "asc" } }, { "a", "c", "b", "d" })
  t.fails("invalid", store.find(tenant, "products", { sort = { { "category", "asc" } } }))
end)

-- Walks all pages and returns the ids; each position makes the journey through JSON that a cursor makes.
local function walk(t, store, tenant, options)
  local seen, pages = {}, 0
  repeat
    local list, position = store.find(tenant, "products", options)
    t.works(list, position)
    for _, doc in ipairs(list) do seen[#seen + 1] = doc.id end
    options.after = position and json.decode(json.encode(position))
    pages = pages + 1
    t.ok(pages < 50, "the walk ends")
  until not position
  return seen
end

test("pages follow each other without gaps, whatever the sort", function(t, store)
  local tenant = t.uuid()
  fill(t, store, tenant, "rank", { 3, 1, 2, 2, 3, 1, 2 })
  for _, id in ipairs { "b", "g" } do t.works(store.update(tenant, "products", id, { unset = { "rank" } })) end
  for _, sort in ipairs { {}, { { "rank", "asc" } }, { { "rank", "desc" } }, { { "price", "desc" } },
    { { "status", "asc" }, { "rank", "desc" } }, { { "rank", "asc" }, { "stock", "desc" } } } do
    local all = ids(t, t.works(store.find(tenant, "products", { sort = sort })))
    t.equal(#all, 7)
    for size = 1, 4 do t.equal(walk(t, store, tenant, { sort = sort, limit = size }), all, json.encode(sort)) end
  end
end)

test("a page stays in place while others come before it", function(t, store)
  local tenant = t.uuid()
  fill(t, store, tenant, "stock", { 5, 4, 3, 2 })
  local sort = { { "stock", "desc" } }
  local _, position = store.find(tenant, "products", { sort = sort, limit = 2 })
  insert(t, store, tenant, { id = "z", stock = 9 })
  t.works(store.delete(tenant, "products", "b"))
  local list, last = store.find(tenant, "products", { sort = sort, limit = 2, after = position })
  t.equal(ids(t, list), { "c", "d" })
  t.equal(last, nil)
end)

test("a position that does not fit is invalid", function(t, store)
  local tenant = t.uuid()
  for _, after in ipairs { {}, { "x" }, { "x", "y", "z" }, { {}, "y" }, "x" } do
    t.fails("invalid", store.find(tenant, "products", { sort = { { "stock", "asc" } }, after = after }))
  end
end)

test("skip, limit and chosen fields", function(t, store)
  local tenant = t.uuid()
  fill(t, store, tenant, "attributes", { { color = "red", size = 1 }, { color = "blue" }, {} })
  local list = store.find(tenant, "products", { skip = 1, limit = 1, fields = { "name", "attributes.color" } })
  t.equal(list, { { id = "b", name = "Mouse", attributes = { color = "blue" } } })
  t.equal(store.find(tenant, "products", { limit = 0 }), {})
end)

return tests
