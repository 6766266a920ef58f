-- postgres.lua: the ledger role on PostgreSQL: a unit is one round trip, one transaction, behind its tenant's fence.
local conflicts = require "stores.ledger.conflicts"
local pg = require "lib.pg"
local store = require "stores.ledger.store"
local unit = require "stores.ledger.unit"
local watch = require "stores.ledger.postgres_watch"
local words = require "stores.ledger.postgres_words"
local written = require "stores.ledger.written"

-- In one order, so that two units never wait for each other.
local LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(value, 0)) "
  .. "FROM (SELECT value FROM json_array_elements_text($1::json) ORDER BY value) locks"
-- What perigee_expect raises.
local UNEXPECTED = "PE001"
-- A table or a function is not there.
local MISSING = { ["42P01"] = true, ["42883"] = true, ["42703"] = true }
-- A deadlock or a serialization failure has undone all of it: it may be tried again.
local AGAIN = { ["40001"] = true, ["40P01"] = true }
local TRIES = 4

-- A statement as the driver takes it: nil is NULL, bytes are marked.
local function packed(text, params)
  local list = { text }
  for i = 1, params.n or #params do
    local value = params[i]
    local bytes = unit.bytes_of(value)
    if value == nil then value = pg.null elseif bytes then value = pg.bytes(bytes) end
    list[i + 1] = value
  end
  return list
end

-- The statements, behind one that takes the locks, if there are any; and how many are not the unit's.
local function batch_of(wanted)
  local list, before = {}, 0
  if wanted.locks and #wanted.locks > 0 then
    list[1], before = { LOCK, json.encode(json.array(wanted.locks)) }, 1
  end
  for _, statement in ipairs(wanted) do
    local text = statement.expect and words.expect(statement[1], statement.expect) or statement[1]
    list[#list + 1] = packed(text, statement[2])
  end
  return list, before
end

-- What was said to be missing: the deliveries ask twice a second, and each thing is news but once.
local said = {}

-- A failure that has nothing to do with the unit itself.
local function plain(text, name, failure)
  if not failure or not MISSING[failure.sqlstate] then return nil, text, name end
  if not said[text] then
    said[text] = true
    log.error("ledger_schema_missing", { error = text, remedy = "perigee migrate" })
  end
  return nil, "the database's schema is not up to date: perigee migrate brings it there", "unavailable"
end

-- Why a unit was refused, and the number of the statement that did.
local function explain(wanted, before, text, name, failure)
  failure = failure or {}
  local index = failure.statement and failure.statement - before or nil
  local statement = wanted[index]
  if failure.sqlstate == UNEXPECTED and statement and statement.lacks then
    return nil, statement.lacks[1], statement.lacks[2], index
  end
  if AGAIN[failure.sqlstate] then return nil, "too many change the same at once", "busy", index end
  if name == "conflict" then return nil, conflicts.sentence(failure.constraint), name, index end
  return plain(text, name, failure)
end

local function rows_of(results, before)
  local rows = {}
  for i = 1, #results - before do
    local result = results[before + i]
    rows[i] = type(result) == "table" and result or {}
  end
  return rows
end

local has_replica = (process.config "postgres_read_url" or "") ~= ""

local function note(tenant, options)
  if not has_replica or not options or not options.session then return end
  written.note(tenant, options.session, pg.lsn())
end

local function write(tenant, wanted, options)
  local batch, before = batch_of(wanted)
  for try = 1, TRIES do
    local results, text, name, failure = pg.with({ tenant = tenant, slow = wanted.waits }).batch(batch)
    if results then
      note(tenant, options)
      return rows_of(results, before)
    end
    if try == TRIES or not (failure and AGAIN[failure.sqlstate]) then
      return explain(wanted, before, text, name, failure)
    end
  end
end

-- The options of a read that the replica may answer: when that is asked for, and it is known how recent it must be.
local function of_replica(tenant, options)
  if not has_replica or not options or not options.stale then return nil end
  local lsn = 0
  if options.session then lsn = written.lsn(tenant, options.session) end
  if not lsn then return nil end
  return { tenant = tenant, replica = true, min_lsn = lsn }
end

-- The request's own time is up, or its client has gone: no reason to ask another server.
local OVER = { timeout = true, cancelled = true }

-- A replica that cannot answer (it is behind a new schema, or had to give way to what it replays) is no failure.
local function read(tenant, statement, options)
  local query = packed(statement[1], statement[2])
  local place = of_replica(tenant, options)
  if place then
    local rows, text, name = pg.with(place).query(unpack(query))
    if rows or OVER[name] then return rows, text, name end
  end
  local rows, text, name, failure = pg.with({ tenant = tenant, repeatable = true }).query(unpack(query))
  if not rows then return plain(text, name, failure) end
  return rows
end

local engine = {}

function engine.open()
  local opened = store { sql = words.sql, write = write, read = read, announce = watch.note }
  opened.outbox_watch = watch.open
  opened.outbox_announce = watch.announce
  return opened
end

return engine
