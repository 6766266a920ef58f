-- query.lua: reads the allow-listed parameters of a query; what is unknown or wrong is a 400 that names it.
local problem = require "lib.problem"

local query = {}

-- Readers take a parameter's text and return its value, or nil and what it must be.

function query.text(max)
  return function(text)
    if text == "" or #text > max then return nil, "must have 1 to " .. max .. " bytes" end
    return text
  end
end

function query.integer(min, max)
  return function(text)
    local number = text:match "^%-?%d+$" and #text <= 12 and tonumber(text)
    if number and number >= min and number <= max then return number end
    return nil, ("must be a whole number from %d to %d"):format(min, max)
  end
end

-- An amount in the currency's digits, as minor units.
function query.money(digits)
  return function(text)
    local minor = money.parse(text, digits)
    if minor and minor >= 0 then return minor end
    return nil, "must be an amount with at most " .. digits .. " decimal digits"
  end
end

function query.choice(...)
  local allowed, list = {}, table.concat({ ... }, ", ")
  for _, text in ipairs { ... } do allowed[text] = text end
  return function(text)
    if allowed[text] then return text end
    return nil, "must be one of " .. list
  end
end

-- "1" or "true", "0" or "false".
query.flag = function(text)
  if text == "1" or text == "true" then return true end
  if text == "0" or text == "false" then return false end
  return nil, "must be 1, true, 0 or false"
end

-- A moment as milliseconds since 1970.
query.time = function(text)
  local ms = clock.parse(text)
  if ms then return ms end
  return nil, "must be a time such as 2026-01-31T00:00:00Z"
end

-- One of the fields, or with a minus in front: { field, "asc" | "desc" }.
function query.sort(...)
  local allowed, list = {}, table.concat({ ... }, ", ")
  for _, field in ipairs { ... } do allowed[field] = true end
  return function(text)
    local minus, field = text:match "^(%-?)(.+)$"
    if field and allowed[field] then return { field, minus == "-" and "desc" or "asc" } end
    return nil, "must be one of " .. list .. ", with a minus in front for descending order"
  end
end

-- A comma-separated selection of the names.
function query.names(allowed)
  return function(text)
    local chosen = {}
    for name in text:gmatch "[^,]+" do
      if not allowed[name] then return nil, "has no field " .. name end
      chosen[#chosen + 1] = name
    end
    if #chosen == 0 then return nil, "must name fields" end
    return chosen
  end
end

-- A parameter that may be repeated; its value is a list.
function query.list(reader)
  return { each = reader }
end

local MOST = 50

local function read_list(values, reader)
  local list = {}
  if #values > MOST then return nil, "may be given " .. MOST .. " times at most" end
  for i, text in ipairs(values) do
    local value, wrong = reader(text)
    if wrong then return nil, wrong end
    list[i] = value
  end
  return list
end

local function read_one(given, reader)
  local repeated = type(given) == "table"
  if type(reader) == "table" then return read_list(repeated and given or { given }, reader.each) end
  if repeated then return nil, "may be given only once" end
  return reader(given)
end

-- The reader of a name, and for "attr.color" that of "attr.*" with its two parts.
local function reader_of(readers, name)
  if readers[name] then return readers[name] end
  local group, rest = name:match "^([^.]+)%.(.+)$"
  local reader = group and readers[group .. ".*"]
  if reader then return reader, group, rest end
end

-- Only UTF-8 can be looked for, or be named in an answer.
local function is_text(name, given)
  return (pcall(json.encode, { name, given }))
end

-- The request's parameters as { name = value }, those of "attr.*" under attr = { name = value }.
function query.read(req, readers)
  local values, errors = {}, {}
  local function wrong(name, code, detail)
    errors[#errors + 1] = { parameter = name, code = code, detail = name .. " " .. detail }
  end
  for name, given in pairs(req.query) do
    local reader, group, rest = reader_of(readers, name)
    if not is_text(name, given) then
      wrong("a parameter", "invalid_parameter", "is not UTF-8")
    elseif not reader then
      wrong(name, "unknown_parameter", "is not a parameter of this resource")
    else
      local value, fault = read_one(given, reader)
      if fault then wrong(name, "invalid_parameter", fault) end
      if group then
        values[group] = values[group] or {}
        values[group][rest] = value
      else
        values[name] = value
      end
    end
  end
  if #errors == 0 then return values end
  table.sort(errors, function(a, b) return a.parameter < b.parameter end)
  problem.raise { status = 400, code = errors[1].code, detail = errors[1].detail, errors = errors }
end

return query
