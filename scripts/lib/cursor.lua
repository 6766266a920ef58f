-- cursor.lua: the opaque text that says where the next page of a listing starts.
local problem = require "lib.problem"

local cursor = {}

local function to_hex(text)
  return (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

local function from_hex(text)
  if #text % 2 == 1 or text:match "[^0-9a-f]" then return nil end
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- The parameters that choose a page but not the listing.
local PAGING = { cursor = true, limit = true, page = true, size = true, fields = true }

-- A mark of the listing: a cursor fits only the filters and the order it was made for.
local function listing(req)
  local parts = { req.path }
  for name, given in pairs(req.query) do
    if not PAGING[name] then
      local text = type(given) == "table" and table.concat(given, "\0") or given
      parts[#parts + 1] = name .. "\0" .. text
    end
  end
  table.sort(parts)
  return ident.sha256(table.concat(parts, "\1")):sub(1, 12)
end

-- The cursor of a position (a list of plain values), or nil for none.
function cursor.encode(req, position)
  if not position then return nil end
  return to_hex(json.encode { listing(req), json.array(position) })
end

-- The position of the request's cursor, or nil when it has none. Raises 400 for a cursor that is not of this listing.
function cursor.decode(req, text)
  if not text then return nil end
  local plain = from_hex(text)
  local value = plain and json.decode(plain)
  if type(value) == "table" and value[1] == listing(req) and type(value[2]) == "table" then
    return value[2]
  end
  problem.raise {
    status = 400, code = "invalid_cursor",
    detail = "cursor does not belong to this listing; start again without it",
    errors = { { parameter = "cursor", code = "invalid_cursor", detail = "cursor is not valid here" } },
  }
end

return cursor
