-- search.lua: /api/products/search and /suggest: text, filters, facets and pages.
local cursor = require "lib.cursor"
local page = require "lib.page"
local problem = require "lib.problem"
local products = require "shop.products"
local query = require "lib.query"
local search = require "shop.search"

local api = {}

-- The deepest product that a search pages to; a listing has no such end.
local DEEPEST = 10000

local function read(req)
  local amount = query.money(products.context(req.tenant).digits)
  return query.read(req, {
    q = query.text(500),
    category = query.list(query.text(100)),
    minPrice = amount,
    maxPrice = amount,
    ["attr.*"] = query.list(query.text(500)),
    sort = query.sort("price", "createdAt", "name"),
    page = query.integer(1, DEEPEST),
    size = query.integer(1, 1000),
    limit = query.integer(1, 1000),
    facets = query.flag,
    cursor = query.text(1000),
  })
end

-- Where the wanted page starts: what the cursor says, else what page and size say.
local function start_of(req, wanted, size)
  local position = cursor.decode(req, wanted.cursor)
  local skip = position and tonumber(position[1]) or ((wanted.page or 1) - 1) * size
  if skip + size <= DEEPEST then return skip end
  problem.raise { status = 400, code = "invalid_parameter",
    detail = "a search goes " .. DEEPEST .. " products deep; narrow it by filters" }
end

-- The same question has the same key, whatever the order of its parameters.
local function key_of(req, skip, size)
  local parts = { skip, size }
  for name, given in pairs(req.query) do
    parts[#parts + 1] = name .. "=" .. (type(given) == "table" and table.concat(given, "\0") or given)
  end
  table.sort(parts, function(a, b) return tostring(a) < tostring(b) end)
  return table.concat(parts, "\1")
end

function api.query(req)
  local wanted = read(req)
  local size = wanted.size or wanted.limit or 20
  local skip = start_of(req, wanted, size)
  local found = search.query(req.tenant, {
    q = wanted.q,
    filters = {
      status = "active", category = wanted.category, attributes = wanted.attr,
      minPrice = wanted.minPrice, maxPrice = wanted.maxPrice,
    },
    sort = wanted.sort,
    size = size,
    skip = skip,
    facets = wanted.facets or false,
  }, key_of(req, skip, size))
  local more = skip + size < found.total and skip + 2 * size <= DEEPEST
  return page.answer(req, found, more and cursor.encode(req, { skip + size }) or nil)
end

function api.suggest(req)
  local wanted = query.read(req, { q = query.text(100), size = query.integer(1, 20) })
  if not wanted.q then
    problem.raise { status = 400, code = "invalid_parameter", detail = "q is required",
      errors = { { parameter = "q", code = "required", detail = "q is required" } } }
  end
  return { items = json.array(search.suggest(req.tenant, wanted.q, wanted.size or 10)) }
end

return api
