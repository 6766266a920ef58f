-- tables.lua: the SQL of the collections: a table of JSON bodies each, with generated columns for what is indexed.
local tables = {}

-- "customer.email" as a JSON path; nil when a part could not be written in one.
function tables.path(field)
  if type(field) ~= "string" or field == "" or field:find '[%z\1-\31"\\]' then return nil end
  local path = "$"
  for part in (field .. "."):gmatch "([^.]*)%." do
    if part == "" then return nil end
    path = path .. '."' .. part .. '"'
  end
  return path
end

function tables.column(field)
  return (field:gsub("%.", "_"))
end

local function quoted(name)
  return '"' .. name .. '"'
end

-- The fields that have a column, each once.
function tables.fields(spec)
  local list, seen = {}, {}
  local function add(field)
    if not seen[field] and not spec.money[field] then list[#list + 1] = field end
    seen[field] = true
  end
  for _, field in ipairs(spec.unique) do add(field) end
  for _, fields in ipairs(spec.indexes) do for _, field in ipairs(fields) do add(field) end end
  for _, field in ipairs(spec.sparse) do add(field) end
  for _, currency in pairs(spec.money) do add(currency) end
  return list
end

-- Money has a column of minor units, so that amounts compare exactly: -> keeps the number's own text.
local function columns_of(spec)
  local list = { "tenant TEXT NOT NULL", "id TEXT NOT NULL", "body TEXT NOT NULL CHECK (json_valid(body))" }
  for _, field in ipairs(tables.fields(spec)) do
    list[#list + 1] = ("%s AS (json_extract(body, '%s'))"):format(quoted(tables.column(field)), tables.path(field))
  end
  for field, currency in pairs(spec.money) do
    list[#list + 1] = ("%s INTEGER AS (minor_units(body -> '%s', json_extract(body, '%s')))"):format(
      quoted(tables.column(field)), tables.path(field), tables.path(currency))
  end
  list[#list + 1] = "PRIMARY KEY (tenant, id)"
  return table.concat(list, ", ")
end

local function indexes_of(name, spec, out)
  local function add(unique, fields, tail, condition)
    local columns = {}
    for i, field in ipairs(fields) do columns[i] = quoted(tables.column(field)) end
    out[#out + 1] = ("CREATE %sINDEX %s ON %s (tenant, %s%s)%s"):format(unique, quoted(name .. "_" ..
      tables.column(table.concat(fields, "_"))), name, table.concat(columns, ", "), tail, condition)
  end
  for _, field in ipairs(spec.unique) do add("UNIQUE ", { field }, "", "") end
  for _, fields in ipairs(spec.indexes) do add("", fields, ", id", "") end
  for _, field in ipairs(spec.sparse) do
    add("", { field }, ", id", (" WHERE %s IS NOT NULL"):format(quoted(tables.column(field))))
  end
end

-- A list's elements have rows of their own, which triggers keep in step with the body.
local function elements_of(name, field, out)
  local side, path = name .. "_" .. field, tables.path(field)
  local insert = ("INSERT OR IGNORE INTO %s (tenant, value, id) SELECT NEW.tenant, value, NEW.id "
    .. "FROM json_each(NEW.body, '%s') WHERE value IS NOT NULL;"):format(side, path)
  local delete = ("DELETE FROM %s WHERE tenant = OLD.tenant AND id = OLD.id;"):format(side)
  out[#out + 1] = ("CREATE TABLE %s (tenant TEXT NOT NULL, value NOT NULL, id TEXT NOT NULL, "
    .. "PRIMARY KEY (tenant, value, id)) WITHOUT ROWID"):format(side)
  out[#out + 1] = ("CREATE INDEX %s_id ON %s (tenant, id)"):format(side, side)
  out[#out + 1] = ("CREATE TRIGGER %s_insert AFTER INSERT ON %s BEGIN %s END"):format(side, name, insert)
  out[#out + 1] = ("CREATE TRIGGER %s_update AFTER UPDATE OF body ON %s "
    .. "WHEN NEW.body -> '%s' IS NOT OLD.body -> '%s' BEGIN %s %s END"):format(side, name, path, path, delete, insert)
  out[#out + 1] = ("CREATE TRIGGER %s_delete AFTER DELETE ON %s BEGIN %s END"):format(side, name, delete)
end

-- The statements that create everything, in a fixed order.
function tables.create(collections)
  local out, names = {}, {}
  for name in pairs(collections) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local spec = collections[name]
    out[#out + 1] = ("CREATE TABLE %s (%s)"):format(name, columns_of(spec))
    indexes_of(name, spec, out)
    for _, field in ipairs(spec.elements) do elements_of(name, field, out) end
  end
  return out
end

return tables
