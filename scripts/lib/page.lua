-- page.lua: the answer of a listing: its items, the next cursor and the Link header that carries it.
local answer = require "lib.answer"

local page = {}

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

-- The request's own target with the cursor exchanged (and page dropped, which the cursor replaces).
local function next_target(req, next_cursor)
  local parts = {}
  local function add(name, text) parts[#parts + 1] = escape(name) .. "=" .. escape(text) end
  for name, given in pairs(req.query) do
    if name ~= "cursor" and name ~= "page" then
      for _, text in ipairs(type(given) == "table" and given or { given }) do add(name, text) end
    end
  end
  table.sort(parts)
  add("cursor", next_cursor)
  return req.path .. "?" .. table.concat(parts, "&")
end

-- body.items is there already; next_cursor is nil on the last page.
function page.answer(req, body, next_cursor)
  body.nextCursor = next_cursor or json.null
  if not next_cursor then return body end
  return answer.json(200, body, { Link = ('<%s>; rel="next"'):format(next_target(req, next_cursor)) })
end

return page
