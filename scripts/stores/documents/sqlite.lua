-- sqlite.lua: the documents role on SQLite: one table per collection, bodies as JSON text, decimals kept to the digit.
local collections = require "stores.documents.collections"
local database = require "stores.lib.database"
local filter = require "stores.documents.filter"
local sql = require "stores.lib.sql"
local tables = require "stores.documents.tables"

local LIMIT, LIMIT_MOST = 100, 10000
-- json_set takes few arguments; longer lists are nested.
local PAIRS_MOST = 30

local known = {}
for name, spec in pairs(collections) do known[name] = filter.describe(name, spec) end

local function invalid(text, ...)
  return nil, text:format(...), "invalid"
end

-- "products.tenant, products.sku" → the field, as the callers know it.
local function conflict_text(detail)
  return ("the value of %s is taken"):format(detail:match "([^%.]+)$" or detail)
end

local function translate(text, name)
  if name == "conflict" then text = conflict_text(text) end
  return nil, text, name
end

local function decode(row)
  return json.decode(row.body)
end

-- The first of the two statements of a change looks whether the document is there, so that a change that found nothing
-- can say why.
local function exists(collection, tenant, id)
  return { ("SELECT 1 FROM %s WHERE tenant = ? AND id = ?"):format(collection.name), { tenant, id } }
end

local function why_unchanged(results)
  if #results[1].rows == 0 then return nil, "there is no such document", "not_found" end
  return nil, "the document is not in the expected state", "precondition_failed"
end

local function field_of(doc, field)
  local value = doc
  for part in field:gmatch "[^.]+" do
    if type(value) ~= "table" then return nil end
    value = value[part]
  end
  return value
end

local function put_field(doc, field, value)
  local parts = {}
  for part in field:gmatch "[^.]+" do parts[#parts + 1] = part end
  for i = 1, #parts - 1 do
    if type(doc[parts[i]]) ~= "table" then doc[parts[i]] = {} end
    doc = doc[parts[i]]
  end
  doc[parts[#parts]] = value
end

-- The chosen fields of a document, and always its id.
local function project(doc, fields)
  if not fields then return doc end
  local chosen = { id = doc.id }
  for _, field in ipairs(fields) do
    local value = field_of(doc, field)
    if value ~= nil then put_field(chosen, field, value) end
  end
  return chosen
end

local function insert_statement(collection, tenant, doc)
  return { ("INSERT INTO %s (tenant, id, body) VALUES (?, ?, ?)"):format(collection.name),
    { tenant, doc.id, json.encode(doc) } }
end

local function find_columns(sorts)
  local columns = sql.new():add "d.body"
  for i, sort in ipairs(sorts) do columns:add ", ":join(sort.expression):add((" AS s%d"):format(i)) end
  return columns
end

local function find_query(collection, tenant, options, sorts)
  local query = sql.new():add "SELECT ":join(find_columns(sorts))
    :add((" FROM %s d WHERE d.tenant = ?"):format(collection.name), tenant)
  return filter.where(query, collection, options.filter)
end

local function page(query, sorts, limit, skip)
  return filter.order(query, sorts):add(" LIMIT ? OFFSET ?", limit, skip)
end

-- The statements that answer a find, each only for what the ones before have left over.
local function plan(collection, tenant, options, limit)
  local sorts = filter.sorts(collection, options.sort)
  local query = find_query(collection, tenant, options, sorts)
  if not options.after then return { page(query, sorts, limit, options.skip or 0) }, sorts end
  local split = select(2, filter.after(query, sorts, filter.position(sorts, options.after)))
  local queries = { page(query, sorts, limit, 0) }
  if split then
    local rest = find_query(collection, tenant, options, sorts):add " AND ":join(sorts[1].expression):add " IS NULL"
    queries[2] = page(rest, sorts, limit, 0)
  end
  return queries, sorts
end

local function run_plan(db, queries, limit)
  local rows = {}
  for _, query in ipairs(queries) do
    if #rows >= limit then break end
    local more, text, name = db:query(query:text(), query.params)
    if not more then return nil, text, name end
    for _, row in ipairs(more) do
      if #rows < limit then rows[#rows + 1] = row end
    end
  end
  return rows
end

local function position_of(row, sorts)
  local position = {}
  for i = 1, #sorts do
    local value = row["s" .. i]
    position[i] = value == nil and json.null or value
  end
  return json.array(position)
end

-- The new body as an expression: unset, then set, then the sums, all from the old body.
local function nest(inner, open, pairs_list)
  local query = inner
  for from = 1, #pairs_list, PAIRS_MOST do
    query = sql.new():add(open):join(query)
    for i = from, math.min(from + PAIRS_MOST - 1, #pairs_list) do query:join(pairs_list[i]) end
    query:add ")"
  end
  return query
end

local function unset_of(change)
  local list = {}
  for i, field in ipairs(change.unset or {}) do list[i] = sql.new():add(", ?", filter.path(field)) end
  return list
end

local function keys_of(map)
  local keys = {}
  for key in pairs(map or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function set_of(change)
  local list = {}
  for i, field in ipairs(keys_of(change.set)) do
    list[i] = sql.new():add(", ?, json(?)", filter.path(field), json.encode(change.set[field]))
  end
  return list
end

local function inc_of(change)
  local list = {}
  for i, field in ipairs(keys_of(change.inc)) do
    local path = filter.path(field)
    list[i] = sql.new():add(", ?, coalesce(json_extract(d.body, ?), 0) + ?", path, path, change.inc[field])
  end
  return list
end

local function update_query(collection, tenant, id, change)
  local body = nest(sql.new():add "d.body", "json_remove(", unset_of(change))
  body = nest(nest(body, "json_set(", set_of(change)), "json_set(", inc_of(change))
  local query = sql.new():add(("UPDATE %s AS d SET body = "):format(collection.name)):join(body)
    :add(" WHERE d.tenant = ? AND d.id = ?", tenant, id)
  for _, field in ipairs(keys_of(change.inc)) do
    query:add(" AND coalesce(json_type(d.body, ?), 'integer') = 'integer'", filter.path(field))
  end
  return filter.where(query, collection, change.guard):add " RETURNING body"
end

-- Runs fn(db, collection, …) when the arguments every function shares are right.
local function guarded(open, fn)
  return function(tenant, name, ...)
    local collection = known[name]
    if not collection then return invalid("there is no collection %s", tostring(name)) end
    if type(tenant) ~= "string" or tenant == "" then return invalid "the tenant is missing" end
    local db, text, why = open()
    if not db then return nil, text, why end
    return fn(db, collection, tenant, ...)
  end
end

local store = {}

function store.insert(db, collection, tenant, doc)
  if type(doc) ~= "table" or type(doc.id) ~= "string" then return invalid "the document has no id" end
  local done, text, name = db:transaction { insert_statement(collection, tenant, doc) }
  if not done then return translate(text, name) end
  return doc
end

local function outcome_of(doc, result)
  if not result.error then return { ok = true, id = doc.id } end
  return { ok = false, error = result.error, detail = conflict_text(result.detail) }
end

function store.insert_many(db, collection, tenant, docs)
  local unit = {}
  for i, doc in ipairs(docs) do
    if type(doc) ~= "table" or type(doc.id) ~= "string" then return invalid("document %d has no id", i) end
    unit[i] = insert_statement(collection, tenant, doc)
    unit[i].may_conflict = true
  end
  local results, text, name = db:transaction(unit)
  if not results then return translate(text, name) end
  local outcomes = {}
  for i, result in ipairs(results) do outcomes[i] = outcome_of(docs[i], result) end
  return outcomes
end

function store.get(db, collection, tenant, id)
  local rows, text, name = db:query(
    ("SELECT body FROM %s WHERE tenant = ? AND id = ?"):format(collection.name), { tenant, id })
  if not rows then return nil, text, name end
  if not rows[1] then return nil end
  return decode(rows[1])
end

-- One more than asked for shows whether there is a next page.
function store.find(db, collection, tenant, options)
  options = options or {}
  local limit = math.max(0, math.min(options.limit or LIMIT, LIMIT_MOST))
  local sorts
  local queries, text, name = filter.try(function()
    local list
    list, sorts = plan(collection, tenant, options, limit + 1)
    return list
  end)
  if not queries then return nil, text, name end
  local rows
  rows, text, name = run_plan(db, queries, limit + 1)
  if not rows then return nil, text, name end
  local docs, more = {}, #rows > limit
  for i = 1, math.min(#rows, limit) do docs[i] = project(decode(rows[i]), options.fields) end
  return docs, more and limit > 0 and position_of(rows[limit], sorts) or nil
end

function store.count(db, collection, tenant, wanted)
  local query = sql.new():add(("SELECT count(*) AS n FROM %s d WHERE d.tenant = ?"):format(collection.name), tenant)
  local text, name
  query, text, name = filter.try(filter.where, query, collection, wanted)
  if not query then return nil, text, name end
  local rows
  rows, text, name = db:query(query:text(), query.params)
  if not rows then return nil, text, name end
  return rows[1].n
end

function store.replace(db, collection, tenant, id, doc, options)
  if type(doc) ~= "table" or doc.id ~= id then return invalid "the document has another id" end
  local query = sql.new():add(("UPDATE %s AS d SET body = ? WHERE d.tenant = ? AND d.id = ?"):format(collection.name),
    json.encode(doc), tenant, id)
  local version = options and options.version
  if version then query:add(" AND json_extract(d.body, '$.version') = ?", version) end
  local results, text, name = db:transaction { exists(collection, tenant, id), { query:text(), query.params } }
  if not results then return translate(text, name) end
  if results[2].changes == 0 then return why_unchanged(results) end
  return doc
end

function store.update(db, collection, tenant, id, change)
  local query, text, name = filter.try(update_query, collection, tenant, id, change)
  if not query then return nil, text, name end
  local results
  results, text, name = db:transaction { exists(collection, tenant, id), { query:text(), query.params } }
  if not results then return translate(text, name) end
  if not results[2].rows[1] then return why_unchanged(results) end
  return decode(results[2].rows[1])
end

function store.delete(db, collection, tenant, id, options)
  local query = sql.new():add(("DELETE FROM %s WHERE tenant = ? AND id = ?"):format(collection.name), tenant, id)
  local version = options and options.version
  if version then query:add(" AND json_extract(body, '$.version') = ?", version) end
  local results, text, name = db:transaction { exists(collection, tenant, id), { query:text(), query.params } }
  if not results then return translate(text, name) end
  if results[2].changes == 0 then return why_unchanged(results) end
  return true
end

function store.delete_all(db, collection, tenant)
  return db:exec(("DELETE FROM %s WHERE tenant = ?"):format(collection.name), { tenant })
end

local engine = {}

-- A store on the file of this name; the file is opened on first use. A stored order must not be lost: commits are
-- durable.
function engine.open(file)
  local open = database.lazy(file, { durable = true }, { tables.create(collections) })
  local opened = {}
  for name, fn in pairs(store) do opened[name] = guarded(open, fn) end
  return opened
end

return engine
