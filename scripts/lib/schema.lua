-- schema.lua: turns the declaration of an entity into its validation: all violations at once, each with its pointer.
--
-- A declaration is a list of fields in the order of documents:
--   { "name", type = "string", required = true, min = 1, max = 200 }
-- Types and their limits:
--   string   min, max (characters), pattern and its `says`, choices, lines = true (line ends and tabs allowed)
--   integer  min, max
--   boolean
--   money    max (minor units); read from a number or a string, kept as an exact decimal with the currency's digits
--   list     of = field, max;   map: of = field, names, max;   object: fields = declaration;   open: any object
--   scalar   a text, a number or a boolean (the values of a map)
-- write says who sets a field: "always" (the default), "create" (a new resource only), "never" (the server).
-- internal = true keeps a field inside: no client sees or sets it.
local problem = require "lib.problem"

local schema = {}

local checks = {}

local function escape(name)
  return (tostring(name):gsub("~", "~0"):gsub("/", "~1"))
end

-- What is collected while one body is checked; context has digits and currency.
local function new_report(context)
  local report = { context = context, errors = {} }
  function report.add(pointer, code, detail)
    report.errors[#report.errors + 1] = { pointer = pointer, code = code, detail = detail }
  end
  return report
end

local function absent(value)
  return value == nil or value == json.null
end

local function characters(text)
  local _, count = text:gsub("[^\128-\191]", "")
  return count
end

function checks.string(field, text, pointer, report)
  if type(text) ~= "string" then return report.add(pointer, "type", "must be a text") end
  local length = characters(text)
  if length < (field.min or 0) then
    return report.add(pointer, "too_short", "must have at least " .. field.min .. " characters")
  end
  if length > (field.max or math.huge) then
    return report.add(pointer, "too_long", "must have at most " .. field.max .. " characters")
  end
  if text:find(field.lines and "[%z\1-\8\11\12\14-\31\127]" or "[%z\1-\31\127]") then
    return report.add(pointer, "control_character", "must not hold control characters")
  end
  if field.pattern and not text:find(field.pattern) then return report.add(pointer, "pattern", field.says) end
  if field.choices and not field.choices[text] then
    return report.add(pointer, "not_allowed", "must be one of " .. table.concat(field.choices, ", "))
  end
  return text
end

function checks.integer(field, number, pointer, report)
  if type(number) ~= "number" or number % 1 ~= 0 then
    return report.add(pointer, "type", "must be a whole number")
  end
  if number < field.min or number > field.max then
    return report.add(pointer, "range", ("must be from %d to %d"):format(field.min, field.max))
  end
  return number
end

function checks.boolean(_, value, pointer, report)
  if type(value) ~= "boolean" then return report.add(pointer, "type", "must be true or false") end
  return value
end

function checks.money(field, amount, pointer, report)
  if type(amount) ~= "number" and type(amount) ~= "string" and not decimal.is(amount) then
    return report.add(pointer, "type", "must be an amount")
  end
  local digits = report.context.digits
  local minor, _, name = money.parse(amount, digits)
  if name == "precision" then
    return report.add(pointer, "precision",
      ("must have at most %d decimal digits in %s"):format(digits, report.context.currency))
  end
  if not minor then return report.add(pointer, "type", "must be an amount") end
  if minor < 0 or minor > field.max then
    return report.add(pointer, "range", "must be from 0 to " .. money.format(field.max, digits))
  end
  return money.decimal(minor, digits)
end

local function is_object(value)
  return type(value) == "table" and not json.is_array(value)
end

function checks.list(field, list, pointer, report)
  if type(list) ~= "table" or not json.is_array(list) then return report.add(pointer, "type", "must be a list") end
  if #list > field.max then
    return report.add(pointer, "too_many", "must have at most " .. field.max .. " elements")
  end
  local clean = {}
  for i, value in ipairs(list) do
    clean[i] = schema.check_value(field.of, value, pointer .. "/" .. (i - 1), report)
  end
  return json.array(clean)
end

function checks.map(field, map, pointer, report)
  if not is_object(map) then return report.add(pointer, "type", "must be an object") end
  local clean, count = {}, 0
  for name, value in pairs(map) do
    local place = pointer .. "/" .. escape(name)
    count = count + 1
    if characters(name) > field.names or name == "" or name:find "[%z\1-\31\127]" then
      report.add(place, "name", "names must have 1 to " .. field.names .. " characters")
    end
    if not absent(value) then clean[name] = schema.check_value(field.of, value, place, report) end
  end
  if count > field.max then
    report.add(pointer, "too_many", "must have at most " .. field.max .. " entries")
  end
  return json.object(clean)
end

function checks.object(field, value, pointer, report)
  if not is_object(value) then return report.add(pointer, "type", "must be an object") end
  return schema.check_fields(field.fields, value, pointer, report, { creating = true })
end

function checks.open(_, value, pointer, report)
  if not is_object(value) then return report.add(pointer, "type", "must be an object") end
  return value
end

function checks.scalar(field, value, pointer, report)
  if type(value) == "string" then return checks.string(field, value, pointer, report) end
  if type(value) == "boolean" or type(value) == "number" or decimal.is(value) then return value end
  report.add(pointer, "type", "must be a text, a number or a boolean")
end

function schema.check_value(field, value, pointer, report)
  return checks[field.type](field, value, pointer, report)
end

-- Deep equality of plain data. Amounts are compared by their text: JSON keeps no difference between 3000 the number and
-- 3000 the decimal.
local function same(a, b)
  if decimal.is(a) or decimal.is(b) then return tostring(a) == tostring(b) end
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end
schema.same = same

-- A field that the client may not set is accepted when it says what is there already: who reads a resource, edits
-- it and puts it back whole need not take it apart.
local function refuse_write(field, value, pointer, report, options)
  if options.current and same(value, options.current[field[1]]) then return end
  report.add(pointer, "read_only", field.says_read_only or "is set by the server")
end

local function may_write(field, options)
  return field.write == nil or field.write == "always" or (field.write == "create" and options.creating)
end

local function check_field(field, value, pointer, report, options)
  if not may_write(field, options) then
    if not absent(value) then refuse_write(field, value, pointer, report, options) end
    return nil
  end
  if not absent(value) then return schema.check_value(field, value, pointer, report) end
  if field.required then report.add(pointer, "required", "is required") end
  if type(field.default) == "function" then return field.default(report.context) end
  return field.default
end

-- The fields of a body that its declaration knows, clean and with defaults; everything else is reported.
function schema.check_fields(fields, body, pointer, report, options)
  local clean, known = {}, {}
  for _, field in ipairs(fields) do
    local name = field[1]
    if not field.internal then
      known[name] = true
      clean[name] = check_field(field, body[name], pointer .. "/" .. escape(name), report, options)
    end
  end
  for name in pairs(body) do
    if not known[name] then report.add(pointer .. "/" .. escape(name), "unknown_field", "is not a field") end
  end
  return clean
end

-- An entity of a declaration: check, view and the set of its public names.
function schema.entity(name, fields)
  local entity = { name = name, fields = fields, names = {} }
  for _, field in ipairs(fields) do
    if not field.internal then entity.names[field[1]] = true end
  end
  return setmetatable(entity, { __index = schema })
end

-- Checks a body. options: creating, current (what is stored, when there is something). Returns the clean fields, or nil
-- and the list of all violations, in the order of their pointers.
function schema.check(entity, body, context, options)
  local report = new_report(context)
  if not is_object(body) then
    report.add("", "type", "must be an object")
    return nil, report.errors
  end
  local clean = schema.check_fields(entity.fields, body, "", report, options)
  if entity.rule then entity.rule(clean, report) end
  if #report.errors == 0 then return clean end
  table.sort(report.errors, function(a, b) return a.pointer < b.pointer end)
  return nil, report.errors
end

-- The same, raising one 422 that holds all violations.
function schema.expect(entity, body, context, options)
  local clean, errors = schema.check(entity, body, context, options)
  if clean then return clean end
  local first = errors[1]
  problem.raise {
    status = 422, code = "unprocessable",
    detail = (first.pointer == "" and "the body" or first.pointer) .. " " .. first.detail,
    errors = errors,
  }
end

-- What clients see of a stored document; `chosen` (a list of names) narrows it, the id always stays.
function schema.view(entity, document, chosen)
  local view = {}
  if chosen then
    view.id = document.id
    for _, name in ipairs(chosen) do view[name] = document[name] end
    return view
  end
  for name in pairs(entity.names) do view[name] = document[name] end
  return view
end

-- Marks the texts of a choice: { "a", "b", a = true, b = true }.
function schema.choices(...)
  local choices = { ... }
  for _, text in ipairs { ... } do choices[text] = true end
  return choices
end

return schema
