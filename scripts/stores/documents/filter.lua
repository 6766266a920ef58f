-- filter.lua: turns filters, sorts and positions of the documents contract into SQL conditions.
local sql = require "stores.lib.sql"
local tables = require "stores.documents.tables"

local filter = {}

local OPERATORS = { gte = ">=", lte = "<=", gt = ">", lt = "<" }

-- What a collection's fields are in SQL.
function filter.describe(name, spec)
  local known = { name = name, spec = spec, columns = { id = "d.id" }, elements = {} }
  for _, field in ipairs(tables.fields(spec)) do known.columns[field] = ('d."%s"'):format(tables.column(field)) end
  for field in pairs(spec.money) do known.columns[field] = ('d."%s"'):format(tables.column(field)) end
  for _, field in ipairs(spec.elements) do known.elements[field] = name .. "_" .. field end
  return known
end

-- Raised as a table and caught by filter.try, so that every caller's mistake is one answer: invalid.
local function refuse(text, ...)
  error({ invalid = text:format(...) })
end

-- Runs fn; a refusal becomes nil, text, "invalid".
function filter.try(fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then return result end
  if type(result) == "table" and result.invalid then return nil, result.invalid, "invalid" end
  error(result, 0)
end

function filter.path(field)
  return tables.path(field) or refuse("%s is not a field", tostring(field))
end

-- The field's value as an expression. Fields without a column are looked up in the body.
local function expression(known, field)
  local column = known.columns[field]
  if column then return sql.new():add(column) end
  return sql.new():add("json_extract(d.body, ?)", filter.path(field))
end

local function is_scalar(value)
  local kind = type(value)
  return kind == "string" or kind == "number" or kind == "boolean" or decimal.is(value)
end

-- A value to compare the field with: amounts in minor units of the document's own currency, decimals as numbers.
local function operand(known, field, value)
  if not is_scalar(value) then refuse("%s cannot be compared with a %s", field, type(value)) end
  local currency = known.spec.money[field]
  local fixed = currency and known.wanted and known.wanted[currency]
  -- When the filter says which currency, the amount is one value for all documents, and an index serves it.
  if type(fixed) == "string" then return sql.new():add("minor_units(?, ?)", tostring(value), fixed) end
  if currency then return sql.new():add("minor_units(?, " .. known.columns[currency] .. ")", tostring(value)) end
  if decimal.is(value) then return sql.new():add("CAST(? AS NUMERIC)", value) end
  return sql.new():add("?", value)
end

local function compare(known, field, operator, value)
  if known.elements[field] then refuse("%s is a list and has no order", field) end
  return expression(known, field):add(" " .. operator .. " "):join(operand(known, field, value))
end

-- One statement text for any number of values: they travel as one JSON list.
local function values_of(known, field, list)
  if type(list) ~= "table" then refuse("in of %s is not a list", field) end
  local texts = {}
  for i, value in ipairs(list) do
    if not is_scalar(value) then refuse("in of %s holds a %s", field, type(value)) end
    texts[i] = known.spec.money[field] and tostring(value) or value
  end
  local ok, text = pcall(json.encode, json.array(texts))
  return ok and text or refuse("in of %s holds a text that is not UTF-8", field)
end

local function element_in(known, field, list)
  return sql.new():add(("EXISTS (SELECT 1 FROM %s e WHERE e.tenant = d.tenant AND e.id = d.id AND e.value IN "
    .. "(SELECT value FROM json_each(?)))"):format(known.elements[field]), list)
end

local function is_in(known, field, list)
  local texts = values_of(known, field, list)
  if known.elements[field] then return element_in(known, field, texts) end
  local currency = known.spec.money[field]
  local value = currency and ("minor_units(value, %s)"):format(known.columns[currency]) or "value"
  return expression(known, field):add((" IN (SELECT %s FROM json_each(?))"):format(value), texts)
end

local function contains(known, field, value)
  if not is_scalar(value) then refuse("%s cannot contain a %s", field, type(value)) end
  if known.elements[field] then
    return sql.new():add(("EXISTS (SELECT 1 FROM %s e WHERE e.tenant = d.tenant AND e.value = ? AND e.id = d.id)")
      :format(known.elements[field]), value)
  end
  return sql.new():add("EXISTS (SELECT 1 FROM json_each(d.body, ?) WHERE value = ?)", filter.path(field), value)
end

local function equals(known, field, value)
  if value == json.null then return expression(known, field):add " IS NULL" end
  if known.elements[field] then return contains(known, field, value) end
  return compare(known, field, "=", value)
end

local function apply(known, field, operator, value)
  if operator == "in" then return is_in(known, field, value) end
  if operator == "contains" then return contains(known, field, value) end
  if not OPERATORS[operator] then refuse("%s is not an operator", tostring(operator)) end
  return compare(known, field, OPERATORS[operator], value)
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- Appends " AND …" for each field, in a fixed order, so that equal filters share a prepared statement.
function filter.where(query, known, wanted)
  if wanted ~= nil and type(wanted) ~= "table" then refuse "the filter is not a table" end
  known = setmetatable({ wanted = wanted }, { __index = known })
  for _, field in ipairs(sorted_keys(wanted or {})) do
    local value = wanted[field]
    if type(value) == "table" and not decimal.is(value) then
      for _, operator in ipairs(sorted_keys(value)) do
        query:add(" AND "):join(apply(known, field, operator, value[operator]))
      end
    else
      query:add(" AND "):join(equals(known, field, value))
    end
  end
  return query
end

-- The sort as a list of { field, desc, expression }, ending with the id.
function filter.sorts(known, wanted)
  local list, last = {}, false
  for i, entry in ipairs(wanted or {}) do
    local field, direction = entry[1], entry[2] or "asc"
    if known.elements[field] then refuse("%s is a list and has no order", field) end
    if direction ~= "asc" and direction ~= "desc" then refuse("%s is not a direction", tostring(direction)) end
    last = direction == "desc"
    list[i] = { field = field, desc = last, expression = expression(known, field) }
    if field == "id" then return list end
  end
  list[#list + 1] = { field = "id", desc = last, expression = expression(known, "id") }
  return list
end

function filter.order(query, sorts)
  for i, sort in ipairs(sorts) do
    query:add(i == 1 and " ORDER BY " or ", "):join(sort.expression):add(sort.desc and " DESC" or " ASC")
  end
  return query
end

-- A position comes back from outside: it must be as many plain values as the sort has keys.
function filter.position(sorts, values)
  if type(values) ~= "table" or #values ~= #sorts then refuse "the position does not fit the sort" end
  for _, value in ipairs(values) do
    local kind = type(value)
    if value ~= json.null and kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      refuse "the position does not fit the sort"
    end
  end
  return values
end

-- Behind the value of one key: what has no value comes first, so it is last in a descending sort.
local function beyond(sort, value)
  local is_null = value == json.null
  local query = sql.new():add "(":join(sort.expression)
  if is_null then return query:add(sort.desc and " IS NULL AND 0)" or " IS NOT NULL)") end
  if not sort.desc then return query:add(" > ?)", value) end
  return query:add(" < ? OR ", value):join(sort.expression):add " IS NULL)"
end

local function general(query, sorts, values)
  query:add " AND ("
  for i, sort in ipairs(sorts) do
    query:add(i == 1 and "(" or " OR (")
    for j = 1, i - 1 do query:join(sorts[j].expression):add(" IS ? AND ", values[j]) end
    query:join(beyond(sort, values[i])):add ")"
  end
  return query:add ")"
end

-- Appends the condition "behind this position". A pair of one key and the id is compared as a row, which an index
-- serves in a single search; the documents without a value, which end a descending sort, are then left to a query of
-- their own: the second result says so.
function filter.after(query, sorts, values)
  local first = values[1]
  if #sorts ~= 2 or first == json.null then return general(query, sorts, values), false end
  query:add " AND (":join(sorts[1].expression):add(sorts[1].desc and ", d.id) < (?, ?)" or ", d.id) > (?, ?)",
    first, values[2])
  return query, sorts[1].desc
end

return filter
