-- sqlite.lua: the ledger role on SQLite: writers come one after the other, each commit is on the disk.
local conflicts = require "stores.ledger.conflicts"
local database = require "stores.lib.database"
local dialect = require "stores.ledger.dialect"
local store = require "stores.ledger.store"
local tables = require "stores.ledger.sqlite_tables"
local watch = require "stores.ledger.sqlite_watch"

local function same(value) return value end
local function nothing() return "" end

local WORDS = {
  now = function() return "now_ms()" end,
  clock = function() return "now_ms()" end,
  ["in"] = function(ms) return "(now_ms() + " .. ms .. ")" end,
  at = same, ms = same, text = same, uuid = same, decimal = same, whole = same, bytes = same,
  money = function(value, currency) return ("minor_units(%s, %s)"):format(value, currency) end,
  higher = function(a, b) return ("max(%s, %s)"):format(a, b) end,
  texts = function(list) return ("json_each(%s)"):format(list) end,
  lock = nothing, skip_locked = nothing,
}

-- Why a unit was refused, and the number of the statement that did.
local function explain(unit, text, name)
  if name == "precondition_failed" then
    local index = tonumber(text:match "^statement (%d+)")
    local lacks = index and unit[index].lacks
    if lacks then return nil, lacks[1], lacks[2], index end
  elseif name == "conflict" then
    return nil, conflicts.sentence(text), name, conflicts.statement(unit, text)
  end
  return nil, text, name
end

local function writer(open)
  return function(_, unit)
    local db, text, name = open()
    if not db then return nil, text, name end
    local results
    results, text, name = db:transaction(unit)
    if not results then return explain(unit, text, name) end
    local rows = {}
    for i, result in ipairs(results) do rows[i] = result.rows or {} end
    return rows
  end
end

local function reader(open)
  return function(_, statement)
    local db, text, name = open()
    if not db then return nil, text, name end
    return db:query(statement[1], statement[2])
  end
end

local engine = {}

-- A store on the file of this name, opened on first use.
function engine.open(file)
  local open = database.lazy(file, { durable = true }, tables)
  local opened = store { sql = dialect.writer(WORDS), write = writer(open), read = reader(open),
    announce = watch.announce }
  opened.outbox_watch = watch.opener(file, open)
  -- Other processes look at the file themselves.
  function opened.outbox_announce() return false end
  return opened
end

return engine
