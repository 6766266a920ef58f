-- shopify.lua: reads a product export in Shopify's CSV format: every variant becomes a product of its own.
--
-- Rows of one handle belong together. The one with a title holds what all variants share (text, vendor, type, tags, the
-- names of the options); each row with a price, an option or a SKU is a variant; a row with only an image adds one.
local csv = require "csv"
local schema = require "schema.product"

local shopify = {}

local NEEDED = { "Handle", "Title", "Variant Price" }
local SKU_MOST = 100
local QUOTED_MOST = 40 -- bytes of a bad value in a message

-- The column that a product's field comes from, for messages.
local COLUMN_OF = {
  name = "Title", sku = "Variant SKU", description = "Body (HTML)", price = "Variant Price", category = "Tags",
  images = "Image Src", attributes = "Option Value", weightGrams = "Variant Grams", stock = "Variant Inventory Qty",
  stockPolicy = "Variant Inventory Policy", status = "Status",
}

local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- "Shoe size" as an attribute's name: shoeSize.
local function attribute_name(text)
  local name = text:lower():gsub("[%s_%-]+(%S)", function(letter) return letter:upper() end)
  return trim(name)
end

-- Reads "1", "12.5" and "" as whole grams, rounded half up; anything else stays a text, which the schema refuses.
local function grams_of(text)
  if text == "" then return 0 end
  local whole, rest = text:match "^(%d+)%.?(%d*)$"
  if not whole then return text end
  return tonumber(whole) + (rest:match "^[5-9]" and 1 or 0)
end

local function whole_of(text)
  if text == "" then return 0 end
  return text:match "^%-?%d+$" and tonumber(text) or text
end

-- Oversold pieces of a product that may not be oversold are none in stock.
local function stock_of(text, policy)
  local stock = whole_of(text)
  if type(stock) == "number" and stock < 0 and policy == "deny" then return 0 end
  return stock
end

local function status_of(parent)
  local status = parent["Status"]:lower()
  if status ~= "" then return status end
  return parent["Published"]:lower() == "false" and "draft" or "active"
end

local function categories_of(parent)
  local list, seen = {}, {}
  local function add(text)
    text = trim(text)
    if text ~= "" and not seen[text] then list[#list + 1], seen[text] = text, true end
  end
  add(parent["Type"])
  for tag in parent["Tags"]:gmatch "[^,]+" do add(tag) end
  return list
end

-- The options of a variant in order: { { name, value } }. A product without options has the single one "Default Title".
local function options_of(row, parent)
  local options = {}
  for i = 1, 3 do
    local name, value = parent["Option" .. i .. " Name"], row["Option" .. i .. " Value"]
    if value ~= "" and not (name == "Title" and value == "Default Title") then
      options[#options + 1] = { name = name ~= "" and name or "Option" .. i, value = value }
    end
  end
  return options
end

-- A SKU from the handle and the options, the same at every import; a very long one is cut and told apart by a digest.
local function derived_sku(handle, options)
  local parts = { handle }
  for _, option in ipairs(options) do parts[#parts + 1] = option.value end
  local sku = table.concat(parts, "-"):gsub("[^%w\128-\255]+", "-"):gsub("^%-+", ""):gsub("%-+$", ""):upper()
  if #sku <= SKU_MOST then return sku end
  return sku:sub(1, SKU_MOST - 41):gsub("[\128-\255]*$", "") .. "-" .. ident.sha256(sku):sub(1, 40)
end

-- All images of a handle by position, each once; a variant's own image comes first.
local function images_of(group, own)
  local list, seen = {}, {}
  local function add(url, alt)
    if url == "" or seen[url] then return end
    list[#list + 1], seen[url] = { url = url, alt = alt, order = #list }, true
  end
  for _, image in ipairs(group.images) do
    if image.url == own then add(own, image.alt) end
  end
  add(own, "")
  for _, image in ipairs(group.images) do add(image.url, image.alt) end
  return list
end

local function fields_of(group, row)
  local parent, options, values = group.parent, options_of(row, group.parent), {}
  local attributes = json.object {}
  for i, option in ipairs(options) do
    values[i] = option.value
    attributes[attribute_name(option.name)] = option.value
  end
  if parent["Vendor"] ~= "" then attributes.brand = attributes.brand or parent["Vendor"] end
  local policy = row["Variant Inventory Policy"]:lower()
  if policy == "" then policy = "deny" end
  return {
    name = parent["Title"] .. (#values > 0 and " - " .. table.concat(values, " / ") or ""),
    sku = row["Variant SKU"] ~= "" and row["Variant SKU"] or derived_sku(row["Handle"], options),
    description = parent["Body (HTML)"],
    price = row["Variant Price"],
    category = categories_of(parent),
    images = images_of(group, row["Variant Image"]),
    attributes = attributes,
    weightGrams = grams_of(row["Variant Grams"]),
    stock = stock_of(row["Variant Inventory Qty"], policy),
    stockPolicy = policy,
    status = status_of(parent),
  }
end

local function is_variant(row)
  return row["Variant Price"] ~= "" or row["Option1 Value"] ~= "" or row["Variant SKU"] ~= ""
end

-- The value that a JSON pointer names in the fields, quoted and cut; "" when it is empty or no single value.
local function quoted(fields, pointer)
  local value = fields
  for part in pointer:gmatch "[^/]+" do
    if type(value) ~= "table" then return "" end
    value = value[tonumber(part) and tonumber(part) + 1 or part:gsub("~1", "/"):gsub("~0", "~")]
  end
  if type(value) ~= "string" and type(value) ~= "number" or value == "" then return "" end
  local text = tostring(value):gsub("%c", " ")
  if #text > QUOTED_MOST then text = text:sub(1, QUOTED_MOST):gsub("[\192-\255]?[\128-\191]*$", "") .. "…" end
  return (', not "%s"'):format(text)
end

-- What the schema has to say about a row, in the words of its columns.
local function sentence_of(violation, fields)
  local field = violation.pointer:match "^/([^/]+)"
  return (COLUMN_OF[field] or "the row") .. " " .. violation.detail .. quoted(fields, violation.pointer)
end

-- The groups of an export in its order, and a reader that knows the columns.
local function new_export(context)
  return { context = context, groups = {}, by_handle = {}, entries = {}, faults = {}, skipped = 0, skus = {} }
end

-- Skips a row, for one reason or more.
local function skip(export, line, ...)
  export.skipped = export.skipped + 1
  for _, text in ipairs { ... } do export.faults[#export.faults + 1] = { line = line, text = text } end
end

-- A row answers "" for a column that the file does not have.
local row_meta = { __index = function() return "" end }

local function read_row(columns, fields)
  local row = {}
  for i, text in ipairs(fields) do
    local name = columns[i]
    if name and text ~= "" then row[name] = trim(text) end
  end
  return setmetatable(row, row_meta)
end

local function add_row(export, line, row)
  local handle = row["Handle"]
  if handle == "" then return skip(export, line, "Handle is empty") end
  local group = export.by_handle[handle]
  if not group then
    group = { handle = handle, rows = {}, images = {} }
    export.by_handle[handle] = group
    export.groups[#export.groups + 1] = group
  end
  if not group.parent and row["Title"] ~= "" then group.parent = row end
  if row["Image Src"] ~= "" then
    group.images[#group.images + 1] = { url = row["Image Src"], alt = row["Image Alt Text"],
      position = tonumber(row["Image Position"]) or math.huge, place = #group.images }
  end
  row.line = line
  group.rows[#group.rows + 1] = row
end

local function add_entry(export, group, row)
  local fields, wrong = fields_of(group, row), {}
  local first = export.skus[fields.sku]
  if first then wrong[1] = ("Variant SKU %s is used on line %d already"):format(fields.sku, first) end
  local clean, errors = schema:check(fields, export.context, { creating = true })
  for _, violation in ipairs(errors or {}) do
    local empty = violation.pointer == "/price" and fields.price == ""
    wrong[#wrong + 1] = empty and "Variant Price is empty" or sentence_of(violation, fields)
  end
  if #wrong > 0 then return skip(export, row.line, unpack(wrong)) end
  export.skus[fields.sku] = row.line
  export.entries[#export.entries + 1] = { line = row.line, product = clean }
end

local function read_group(export, group)
  table.sort(group.images, function(a, b)
    if a.position ~= b.position then return a.position < b.position end
    return a.place < b.place
  end)
  for _, row in ipairs(group.rows) do
    if not group.parent then
      skip(export, row.line, "no row of " .. group.handle .. " has a Title")
    elseif is_variant(row) or row == group.parent then
      add_entry(export, group, row)
    elseif row["Image Src"] == "" then
      skip(export, row.line, "the row holds neither a variant nor an image")
    end
  end
end

-- The columns of the header, or nil and what is wrong with it.
local function read_header(fields, why)
  if why then return nil, why end
  local known = {}
  for i, name in ipairs(fields) do
    fields[i] = trim(name)
    known[fields[i]] = true
  end
  for _, name in ipairs(NEEDED) do
    if not known[name] then return nil, "this is no Shopify product export: the column " .. name .. " is missing" end
  end
  return fields
end

local function is_blank(fields)
  return #fields == 1 and fields[1] == ""
end

-- Reads the file. Returns { entries = { { line, product } }, faults = { { line, text } }, skipped } with the products
-- checked by the schema and the number of bad rows, each with one fault or more; or nil and a sentence when the file
-- cannot be read as an export at all.
function shopify.read(path, context)
  local records, text = csv.records(path)
  if not records then return nil, path .. ": " .. text end
  local export, columns = new_export(context), nil
  for line, fields, why in records do
    if not columns then
      columns, text = read_header(fields, why)
      if not columns then return nil, ("%s:%d: %s"):format(path, line, text) end
    elseif why then
      skip(export, line, why)
    elseif #fields < #columns and not is_blank(fields) then
      skip(export, line, ("too few columns: %d instead of the header's %d"):format(#fields, #columns))
    elseif not is_blank(fields) then
      add_row(export, line, read_row(columns, fields))
    end
  end
  if not columns then return nil, path .. ": the file is empty" end
  for _, group in ipairs(export.groups) do read_group(export, group) end
  for i, fault in ipairs(export.faults) do fault.place = i end
  table.sort(export.faults, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.place < b.place
  end)
  return export
end

return shopify
