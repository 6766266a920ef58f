-- facets.lua: the conditions of a search's filters, and the counts beside its results.

local facets = {}

local VALUES_MOST = 20
local ATTRIBUTES_MOST = 400
-- Bounds of price ranges when the caller names none.
local RANGES = { 2500, 5000, 10000 }

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The wanted values as texts, and how many were wanted. What is not UTF-8 is left out: nothing has such a value.
local function texts_of(value)
  if type(value) ~= "table" then value = { value } end
  local texts = {}
  for _, entry in ipairs(value) do
    local ok = pcall(json.encode, tostring(entry))
    if ok then texts[#texts + 1] = tostring(entry) end
  end
  return texts, #value
end

-- The same as a JSON list.
local function list_of(value)
  local texts, count = texts_of(value)
  return json.encode(json.array(texts)), count
end

local function category_condition(query, filters)
  if not filters.category then return end
  local values, count = list_of(filters.category)
  if count == 0 then return end
  query:add(" AND EXISTS (SELECT 1 FROM item_categories c WHERE c.item = i.item "
    .. "AND c.value IN (SELECT value FROM json_each(?)))", values)
end

local function price_condition(query, filters)
  if filters.minPrice then query:add(" AND i.price >= ?", filters.minPrice) end
  if filters.maxPrice then query:add(" AND i.price <= ?", filters.maxPrice) end
end

local function attribute_condition(query, filters, except)
  for _, name in ipairs(sorted_keys(filters.attributes)) do
    local values, count = list_of(filters.attributes[name])
    if name ~= except and count > 0 then
      query:add(" AND EXISTS (SELECT 1 FROM item_attributes a WHERE a.item = i.item AND a.name = ? "
        .. "AND a.value IN (SELECT value FROM json_each(?)))", name, values)
    end
  end
end

-- Appends the filters' conditions on the item i, without those of one facet: "category", "price", or an attribute's
-- name as { name }.
function facets.where(query, filters, except)
  if filters.status then query:add(" AND i.status = ?", filters.status) end
  if except ~= "category" then category_condition(query, filters) end
  if except ~= "price" then price_condition(query, filters) end
  attribute_condition(query, filters, type(except) == "table" and except[1] or nil)
  return query
end

-- "SELECT … FROM the matching items", with the conditions; source adds FROM and the tenant.
local function branch(query, columns, join, source, filters, except)
  query:add("SELECT * FROM (SELECT " .. columns)
  source(query, join)
  return facets.where(query, filters, except)
end

-- The values of a facet that most items have; the chosen ones are among them however few have them, because a shopper
-- must be able to take a choice back.
local function best_values(query, wanted)
  local values, count = list_of(wanted or {})
  query:add(" GROUP BY f.value ORDER BY f.value IN (SELECT value FROM json_each(?)) DESC, count(*) DESC, f.value "
    .. "LIMIT ?)", values, math.max(VALUES_MOST, count))
end

local function categories(query, source, filters)
  branch(query, "'category' AS kind, NULL AS name, f.value AS value, count(*) AS n",
    " JOIN item_categories f ON f.item = i.item", source, filters, "category")
  best_values(query, filters.category)
end

-- The range of a price is the number of bounds at or below it.
local function prices(query, source, filters, bounds)
  local place = {}
  for i = 1, #bounds do place[i] = "(i.price >= ?)" end
  query:add(("SELECT * FROM (SELECT 'price' AS kind, NULL AS name, %s AS value, count(*) AS n")
    :format(#place > 0 and table.concat(place, " + ") or "0"), unpack(bounds))
  source(query, "")
  facets.where(query, filters, "price"):add " AND i.price IS NOT NULL GROUP BY 3)"
end

local function attributes(query, source, filters)
  local chosen = json.encode(json.array(sorted_keys(filters.attributes)))
  branch(query, "'attribute' AS kind, f.name AS name, f.value AS value, count(*) AS n",
    " JOIN item_attributes f ON f.item = i.item", source, filters, nil)
  query:add(" AND f.name NOT IN (SELECT value FROM json_each(?)) GROUP BY f.name, f.value "
    .. "ORDER BY count(*) DESC, f.name, f.value LIMIT ?)", chosen, ATTRIBUTES_MOST)
  for _, name in ipairs(sorted_keys(filters.attributes)) do
    query:add " UNION ALL "
    branch(query, "'attribute' AS kind, f.name AS name, f.value AS value, count(*) AS n",
      " JOIN item_attributes f ON f.item = i.item", source, filters, { name })
    query:add(" AND f.name = ?", name)
    best_values(query, filters.attributes[name])
  end
end

-- One statement for all facets, so that they agree with each other.
function facets.query(query, source, filters, bounds)
  categories(query, source, filters)
  query:add " UNION ALL "
  prices(query, source, filters, bounds or RANGES)
  query:add " UNION ALL "
  attributes(query, source, filters)
  return query
end

local function ranges_of(counts, bounds)
  local list = {}
  for i = 0, #bounds do
    list[i + 1] = { from = bounds[i], to = bounds[i + 1], count = counts[i] or 0 }
  end
  return list
end

-- Puts the chosen values that nothing has into the list, and the most frequent value first.
local function with_chosen(list, wanted)
  local there = {}
  for _, entry in ipairs(list) do there[entry.value] = true end
  for _, value in ipairs((texts_of(wanted))) do
    if not there[value] then list[#list + 1] = { value = value, count = 0 } end
    there[value] = true
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.value < b.value
  end)
  return list
end

-- The rows of facets.query as the contract shows them.
function facets.collect(rows, bounds, filters)
  local found, counts = { categories = {}, attributes = {} }, {}
  for _, row in ipairs(rows) do
    if row.kind == "category" then
      found.categories[#found.categories + 1] = { value = row.value, count = row.n }
    elseif row.kind == "price" then
      counts[row.value] = row.n
    else
      local list = found.attributes[row.name] or {}
      found.attributes[row.name] = list
      local chosen = filters.attributes and filters.attributes[row.name]
      if chosen or #list < VALUES_MOST then list[#list + 1] = { value = row.value, count = row.n } end
    end
  end
  with_chosen(found.categories, filters.category or {})
  for name, wanted in pairs(filters.attributes or {}) do
    found.attributes[name] = with_chosen(found.attributes[name] or {}, wanted)
  end
  found.priceRanges = ranges_of(counts, bounds or RANGES)
  return found
end

return facets
