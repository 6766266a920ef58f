-- words.lua: turns what a shopper types into full-text expressions, and finds what mistyped words were meant to be.
local tables = require "stores.search.tables"

local words = {}

local WORDS_MOST = 16
local CORRECTIONS_MOST, PARTS_MOST = 5, 16

-- Only UTF-8 can be written in JSON; other bytes are in no product.
local function is_word(text)
  return text:find "[%w\128-\255]" ~= nil and (pcall(json.encode, text))
end

-- The words of a query: what spaces separate and has a letter or a digit in it, without quotes and control characters.
function words.split(q)
  local list = {}
  for word in q:gsub('[%z\1-\32"\127]', " "):gmatch "[^ ]+" do
    if #list < WORDS_MOST and is_word(word) then list[#list + 1] = word end
  end
  return list
end

local function quote(word)
  return '"' .. word .. '"'
end

-- Any of the words, in the columns, of the tenant.
function words.expression(tenant, columns, list)
  local quoted = {}
  for i, word in ipairs(list) do quoted[i] = quote(word) end
  return ("tenant_word : %s AND {%s} : (%s)"):format(quote(tables.tenant_word(tenant)), columns,
    table.concat(quoted, " OR "))
end

-- All of the words in the name, the last of them only begun.
function words.prefix(tenant, list)
  local quoted = {}
  for i, word in ipairs(list) do quoted[i] = quote(word) end
  return ("tenant_word : %s AND name : (%s *)"):format(quote(tables.tenant_word(tenant)),
    table.concat(quoted, " AND "))
end

-- Which words no product of the tenant has.
local MISSING = "SELECT w.value AS word FROM json_each(?1) w WHERE NOT EXISTS (SELECT 1 FROM texts WHERE texts MATCH "
  .. "cjk_apart('tenant_word : \"' || ?2 || '\" AND {name description sku} : \"' || w.value || '\"'))"

-- Words of the tenant's product names within a distance, nearest and most frequent first. The range limits the walk.
local NEAR = "SELECT v.term AS word FROM vocabulary v WHERE v.term >= ?1 AND v.term < ?2 "
  .. "AND edit_distance(v.term, ?3, ?4) <= ?4 "
  .. "AND EXISTS (SELECT 1 FROM names WHERE names MATCH "
  .. "'tenant_word : \"' || ?5 || '\" AND name : \"' || v.term || '\"') "
  .. "ORDER BY edit_distance(v.term, ?3, ?4), v.doc DESC, v.term LIMIT ?6"

-- How many mistakes a word of this length may hold.
local function tolerance(word)
  local letters = select(2, word:gsub("[^\128-\191]", ""))
  return letters >= 6 and 2 or letters >= 3 and 1 or 0
end

-- A word of a script without spaces, of which every character is a word in the index: parts of two are tried instead.
-- All characters of these scripts begin with a byte from E3 on.
local function parts(word)
  local letters, list = {}, {}
  for letter in word:gmatch "[^\128-\191][\128-\191]*" do letters[#letters + 1] = letter end
  for i = 1, math.min(#letters - 1, PARTS_MOST) do list[i] = letters[i] .. letters[i + 1] end
  return list
end

local function near(db, tenant_word, word, most, from, to)
  local rows, text, name = db:query(NEAR, { from, to, word, most, tenant_word, CORRECTIONS_MOST })
  if not rows then return nil, text, name end
  local list = {}
  for i, row in ipairs(rows) do list[i] = row.word end
  return list
end

-- Most mistakes spare the first letter, so its part of the vocabulary is walked first, and all of it only in vain.
local function meant(db, tenant_word, word)
  if word:find "[\227-\244]" then return parts(word) end
  local most, lower = tolerance(word), word:lower()
  if most == 0 then return {} end
  local first = lower:match "^[a-z0-9]"
  if first then
    local list, text, name = near(db, tenant_word, lower, most, first, first .. "\255")
    if not list then return nil, text, name end
    if #list > 0 then return list end
  end
  return near(db, tenant_word, lower, most, "", "\255")
end

-- The words, and beside each that no product has those it may have been meant as.
function words.tolerant(db, tenant, list)
  local tenant_word = tables.tenant_word(tenant)
  local rows, text, name = db:query(MISSING, { json.encode(json.array(list)), tenant_word })
  if not rows then return nil, text, name end
  local all = { unpack(list) }
  for _, row in ipairs(rows) do
    local corrections
    corrections, text, name = meant(db, tenant_word, row.word)
    if not corrections then return nil, text, name end
    for _, word in ipairs(corrections) do all[#all + 1] = word end
  end
  return all
end

return words
