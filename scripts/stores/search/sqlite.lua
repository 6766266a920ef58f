-- sqlite.lua: the search role on SQLite FTS5: ranked text with names first, mistyped words, filters and facets.
local database = require "stores.lib.database"
local facets = require "stores.search.facets"
local sql = require "stores.lib.sql"
local tables = require "stores.search.tables"
local words = require "stores.search.words"

local SIZE, SIZE_MOST = 20, 1000
local SUGGESTIONS_FROM = 500

local ITEM = "(SELECT item FROM items WHERE tenant = ? AND id = ?)"
local PUT = "INSERT INTO items (tenant, id, tenant_word, name, description, sku, status, price, created_at) "
  .. "VALUES (?, ?, ?, ?, ?, ?, ?, minor_units(?, ?), ?) ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, "
  .. "description = excluded.description, sku = excluded.sku, status = excluded.status, price = excluded.price, "
  .. "created_at = excluded.created_at"
local PUT_CATEGORIES = "INSERT OR IGNORE INTO item_categories (item, value) SELECT " .. ITEM
  .. ", value FROM json_each(?)"
local PUT_ATTRIBUTES = "INSERT OR IGNORE INTO item_attributes (item, name, value) SELECT " .. ITEM
  .. ", value ->> 0, value ->> 1 FROM json_each(?)"

-- The name counts three times as much as the rest; the tenant's word not at all. The joins are CROSS ones so that the
-- text is looked up once, and not again for each item.
local RANKED = "WITH hits AS MATERIALIZED (SELECT rowid AS item, -bm25(texts, 0.0, 3.0, 1.0, 1.0) AS score "
  .. "FROM texts WHERE texts MATCH cjk_apart(?)) "
local HITS = "WITH hits AS MATERIALIZED (SELECT rowid AS item FROM texts WHERE texts MATCH cjk_apart(?)) "
local SUGGEST = "SELECT name FROM (SELECT i.name AS name FROM names n CROSS JOIN items i ON i.item = n.rowid "
  .. "WHERE names MATCH cjk_apart(?) AND i.tenant = ? AND i.status IS 'active' LIMIT ?) "
  .. "GROUP BY name ORDER BY lower(substr(name, 1, length(?))) <> lower(?), length(name), name LIMIT ?"
local SORTS = { price = "i.price", name = "i.name COLLATE NOCASE", createdAt = "i.created_at" }

local function text_of(value)
  if value == nil or value == json.null then return nil end
  return tostring(value)
end

local function elements(value)
  if type(value) ~= "table" or decimal.is(value) then value = { value } end
  local texts = {}
  for _, entry in ipairs(value) do texts[#texts + 1] = text_of(entry) end
  return texts
end

-- Each value of each attribute as a pair.
local function attribute_pairs(attributes)
  local list = {}
  if type(attributes) ~= "table" then return list end
  for name, value in pairs(attributes) do
    for _, text in ipairs(elements(value)) do list[#list + 1] = json.array { name, text } end
  end
  return list
end

local function put_into(unit, tenant, product)
  local function add(text, ...) unit[#unit + 1] = { text, { n = select("#", ...), ... } } end
  local id = product.id
  add(PUT, tenant, id, tables.tenant_word(tenant), text_of(product.name) or "", text_of(product.description),
    text_of(product.sku), text_of(product.status), text_of(product.price), text_of(product.currency),
    text_of(product.createdAt))
  add("DELETE FROM item_categories WHERE item = " .. ITEM, tenant, id)
  add("DELETE FROM item_attributes WHERE item = " .. ITEM, tenant, id)
  add(PUT_CATEGORIES, tenant, id, json.encode(json.array(elements(product.category))))
  add(PUT_ATTRIBUTES, tenant, id, json.encode(json.array(attribute_pairs(product.attributes))))
end

local store = {}

function store.put_many(db, tenant, products)
  local unit = {}
  for i, product in ipairs(products) do
    if type(product) ~= "table" or type(product.id) ~= "string" then
      return nil, ("product %d has no id"):format(i), "invalid"
    end
    put_into(unit, tenant, product)
  end
  local done, text, name = db:transaction(unit)
  if not done then return nil, text, name end
  return true
end

function store.put(db, tenant, product)
  return store.put_many(db, tenant, { product })
end

function store.remove(db, tenant, id)
  local done, text, name = db:exec("DELETE FROM items WHERE tenant = ? AND id = ?", { tenant, id })
  if not done then return nil, text, name end
  return true
end

function store.clear(db, tenant)
  local done, text, name = db:exec("DELETE FROM items WHERE tenant = ?", { tenant })
  if not done then return nil, text, name end
  return true
end

-- A function that appends FROM the matching items and the tenant's condition.
local function source_of(tenant, expression)
  local from = expression and " FROM hits h CROSS JOIN items i ON i.item = h.item" or " FROM items i"
  return function(query, join) return query:add(from .. (join or "") .. " WHERE i.tenant = ?", tenant) end
end

local function start(expression, hits)
  local query = sql.new()
  return expression and query:add(hits or HITS, expression) or query
end

-- The best first, or the newest when there is nothing to rank; the id decides between equals.
local function order(query, expression, sort)
  local key = sort and SORTS[sort[1]]
  if key then
    local direction = sort[2] == "desc" and " DESC" or " ASC"
    return query:add(" ORDER BY " .. key .. direction .. ", i.id" .. direction)
  end
  return query:add(expression and " ORDER BY h.score DESC, i.created_at DESC, i.id"
    or " ORDER BY i.created_at DESC, i.id")
end

local function count(db, source, expression, filters)
  local query = facets.where(source(start(expression):add "SELECT count(*) AS n"), filters)
  local rows, text, name = db:query(query:text(), query.params)
  if not rows then return nil, text, name end
  return rows[1].n
end

local function items(db, source, expression, wanted, size, skip)
  local query = start(expression, RANKED)
    :add(("SELECT i.id AS id, %s AS score"):format(expression and "h.score" or "0.0"))
  order(facets.where(source(query), wanted.filters), expression, wanted.sort):add(" LIMIT ? OFFSET ?", size, skip)
  return db:query(query:text(), query.params)
end

local function count_facets(db, source, expression, wanted)
  local query = facets.query(start(expression), source, wanted.filters, wanted.priceRanges)
  local rows, text, name = db:query(query:text(), query.params)
  if not rows then return nil, text, name end
  return facets.collect(rows, wanted.priceRanges, wanted.filters)
end

-- The full-text expression of q: nil when everything matches, false when nothing can.
local function expression_of(db, tenant, q)
  if q == nil or not q:find "%S" then return nil end
  local list = words.split(q)
  if #list == 0 then return false end
  local all, text, name = words.tolerant(db, tenant, list)
  if not all then return false, text, name end
  return words.expression(tenant, "name description sku", all)
end

local function check(wanted)
  local sort = wanted.sort
  if sort and (type(sort) ~= "table" or not SORTS[sort[1]]) then
    return nil, "the results cannot be sorted like this", "invalid"
  end
  return { q = wanted.q, filters = wanted.filters or {}, sort = sort, facets = wanted.facets,
    priceRanges = wanted.priceRanges }
end

local function nothing(wanted)
  return { items = {}, total = 0,
    facets = wanted.facets and facets.collect({}, wanted.priceRanges, wanted.filters) or nil }
end

-- One page of a search, its total, and its facets when asked for.
function store.query(db, tenant, given)
  local wanted, text, name = check(given)
  if not wanted then return nil, text, name end
  local size = math.max(0, math.min(given.size or SIZE, SIZE_MOST))
  local expression
  expression, text, name = expression_of(db, tenant, wanted.q)
  if name then return nil, text, name end
  if expression == false then return nothing(wanted) end
  local source, found = source_of(tenant, expression), {}
  found.items, text, name = items(db, source, expression, wanted, size, given.skip or 0)
  if not found.items then return nil, text, name end
  found.total, text, name = count(db, source, expression, wanted.filters)
  if not found.total then return nil, text, name end
  if not wanted.facets then return found end
  found.facets, text, name = count_facets(db, source, expression, wanted)
  if not found.facets then return nil, text, name end
  return found
end

function store.suggest(db, tenant, q, size)
  local list = words.split(q)
  if #list == 0 then return {} end
  local rows, text, name = db:query(SUGGEST,
    { words.prefix(tenant, list), tenant, SUGGESTIONS_FROM, q, q, math.min(size or 10, 100) })
  if not rows then return nil, text, name end
  local texts = {}
  for i, row in ipairs(rows) do texts[i] = row.name end
  return texts
end

local engine = {}

-- A store on the file of this name; the file is opened on first use. The index can be built again from the documents.
function engine.open(file)
  local open = database.lazy(file, nil, tables.steps)
  local opened = {}
  for name, fn in pairs(store) do
    opened[name] = function(tenant, ...)
      if type(tenant) ~= "string" or tenant == "" then return nil, "the tenant is missing", "invalid" end
      local db, text, why = open()
      if not db then return nil, text, why end
      return fn(db, tenant, ...)
    end
  end
  return opened
end

return engine
