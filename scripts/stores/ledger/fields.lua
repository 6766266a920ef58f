-- fields.lua: what callers hand in, checked and cleaned, the same for every engine, before anything is sent.
local fields = {}

-- As far as money counts anywhere in the platform; and as far as Lua's numbers count by ones.
local AMOUNT_MOST, WHOLE_MOST = 10 ^ 14, 2 ^ 53

local function is_whole(value, least, most)
  return type(value) == "number" and value >= least and value <= (most or WHOLE_MOST) and value % 1 == 0
end

-- As JSON text; nil when it cannot be.
local function encoded(value)
  local fine, result = pcall(json.encode, value)
  return fine and result or nil
end

-- As UTF-8 without zero bytes, which is all that every engine takes.
local function is_plain(value)
  return not value:find "%z" and (not value:find "[\128-\255]" or encoded(value) ~= nil)
end

local function text(most)
  return function(value)
    if type(value) == "string" and value ~= "" and #value <= most and is_plain(value) then return value end
    return nil, ("a text of 1 to %d bytes"):format(most)
  end
end

-- What others say went wrong is kept as far as there is room: it must not keep the failure from being noted.
local NOTE_MOST = 500

local function note(value)
  local plain = tostring(value):gsub("%z", " ")
  if not is_plain(plain) then plain = plain:gsub("[\128-\255]", "?") end
  if #plain <= NOTE_MOST then return plain end
  return (plain:sub(1, NOTE_MOST):gsub("[\192-\255][\128-\191]*$", ""))
end

local function whole(least, most)
  return function(value)
    if is_whole(value, least, most) then return value end
    return nil, ("a whole number from %d%s"):format(least, most and (" to %.0f"):format(most) or "")
  end
end

local UUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

-- name = function(value) → the cleaned value, or nil and what it must be
local kinds = {
  text = text(255),
  long = text(500),
  note = note,
  any = text(1024 * 1024),
  number = function(value) return type(value) == "number" and value or nil, "a number" end,
  whole = whole(0),
  amount = whole(0, AMOUNT_MOST),
  refund = whole(1, AMOUNT_MOST),
  ms = whole(1),
}

function kinds.uuid(value)
  if type(value) == "string" and value:find(UUID) then return value:lower() end
  return nil, "a UUID"
end

-- Milliseconds, or false for none.
function kinds.lease(value)
  if value == false then return false end
  return kinds.ms(value)
end

function kinds.currency(value)
  if type(value) == "string" and money.digits(value) then return value end
  return nil, "an ISO 4217 code"
end

function kinds.json(value)
  local result = type(value) == "table" and encoded(value)
  if result then return result end
  return nil, "a table that JSON can hold"
end

-- { status, headers, body } as three columns' values.
function kinds.answer(value)
  if type(value) == "table" and is_whole(value.status, 100) and type(value.body or "") == "string" then
    local headers = encoded(json.object(value.headers or {}))
    if headers then return { status = value.status, headers = headers, body = value.body or "" } end
  end
  return nil, "an answer with a status and a body"
end

-- One text or a list of them, as the JSON text of a list.
function kinds.texts(value)
  if type(value) == "string" then value = { value } end
  if type(value) == "table" and #value > 0 then return json.encode(json.array(value)) end
  return nil, "a text or a list of texts"
end

-- The fields of spec, cleaned: spec = { orderId = "uuid", status = "text?" }; those with ? may be missing. Others are
-- left out. Or nil, a sentence, "invalid".
function fields.clean(spec, values)
  if type(values) ~= "table" then return nil, "a table of fields is missing", "invalid" end
  local clean = {}
  for name, kind in pairs(spec) do
    local value, optional = values[name], kind:sub(-1) == "?"
    if value == nil or value == json.null then
      if not optional then return nil, name .. " is missing", "invalid" end
    else
      local fine, wanted = kinds[optional and kind:sub(1, -2) or kind](value)
      if fine == nil then return nil, ("%s must be %s"):format(name, wanted), "invalid" end
      clean[name] = fine
    end
  end
  return clean
end

-- One value: fields.one("uuid", "the payment's id", id).
function fields.one(kind, what, value)
  local fine, wanted = kinds[kind](value)
  if fine == nil then return nil, ("%s must be %s"):format(what, wanted), "invalid" end
  return fine
end

-- A page's size, within bounds.
function fields.limit(value, default, most)
  if value == nil then return default end
  if is_whole(value, 1) then return math.min(value, most) end
  return nil, "limit must be a whole number from 1", "invalid"
end

return fields
