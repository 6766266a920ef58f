-- pg.lua: PostgreSQL: queries, batches, transactions, large results, COPY and notifications.
--
-- pg.query(sql, …) answers a list of rows, tables by the columns' names. A column that is NULL is absent from its row,
-- and pg.null inside of an array. Parameters are bound as $1, $2, …: NULL is pg.null, a nil is a mistake that is
-- raised, and a table is JSON unless pg.array(list) or pg.bytes(text) says what it is. A failure is nil, a sentence, a
-- name, and what the server said: { sqlstate, constraint, table, column, statement }.
local given = require "lib.transaction"
local problem = require "lib.problem"

local ok, native = pcall(require, "postgres.native")
if not ok then return require "lib.absent" "there is no PostgreSQL here: the setting postgres_url is empty" end

-- What pg.with takes.
local OPTIONS = { tenant = true, timeout_ms = true, replica = true, min_lsn = true, slow = true, repeatable = true }

-- What is worth another try, and how often at most.
local PASSING = { ["40001"] = true, ["40P01"] = true }
local RETRIES, RETRIES_MOST, PAUSE_MS, PAUSE_MOST_MS = 3, 10, 10, 200

local ISOLATION = { ["read committed"] = true, ["repeatable read"] = true, ["serializable"] = true }

-- Workers must not come back in step, and each would draw the same numbers.
math.randomseed(tonumber(ident.uuid():sub(1, 8), 16))

local function pack(...)
  return { n = select("#", ...), ... }
end

-- Whether what a function returned, from `first` on, is a failure: nil, text, name.
local function failed(results, first)
  return results[first] == nil and type(results[first + 2]) == "string"
end

-- Rows as they come

-- An iterator cannot answer nil, text, name: a loop that ends early would look complete. So it raises.
local function next_of(stream, finish)
  local piece, text, name, info = stream:next()
  if piece ~= nil then return piece end
  finish()
  if name then problem.of_failure(text, name, info) end
end

-- The stream that a method of the connection opens; what it raises gives the connection back.
local function opened(lease, method, ...)
  local fine, stream = pcall(lease[method], lease, ...)
  if fine then return stream end
  lease:close(false)
  error(stream, 0)
end

local function closable(step, close)
  return setmetatable({ close = close }, { __call = step })
end

local function each_row(stream, finish)
  local rows, count, at, over = nil, 0, 0, false
  local function stop()
    over = true
    finish()
  end
  return closable(function()
    at = at + 1
    if at > count then
      if over then return nil end
      rows, at = next_of(stream, stop), 1
      count = rows and #rows or 0
    end
    return rows and rows[at]
  end, function()
    if over then return end
    rows, count, over = nil, 0, true
    stream:close()
    finish()
  end)
end

local function each_piece(stream, finish)
  local over = false
  local function stop()
    over = true
    finish()
  end
  return closable(function() return not over and next_of(stream, stop) or nil end, function()
    if over then return end
    stream:close()
    stop()
  end)
end

-- COPY

local function put(copy, item)
  if type(item) == "string" then return copy:write(item) end
  return copy:row(item)
end

-- A list, or a function that is called until it answers nil; nil, text, name is no end, but a failure: what has come
-- until then is not all of it.
local function feed(copy, source)
  local at = 0
  local function following()
    at = at + 1
    return source[at]
  end
  local next_item = type(source) == "table" and following or source
  while true do
    local item, why, what = next_item()
    if item == nil then
      if type(what) ~= "string" then return true end
      copy:fail("the source failed")
      return nil, why, what
    end
    local done, text, name, info = put(copy, item)
    if not done then return nil, text, name, info end
  end
end

local function copy_in(lease, options, sql, source)
  local copy, text, name, info = lease:copy_in(options, sql)
  if not copy then return nil, text, name, info end
  local fed = pack(pcall(feed, copy, source))
  if not fed[1] then
    copy:fail("the script raised an error")
    error(fed[2], 0)
  end
  if failed(fed, 2) then return unpack(fed, 2, fed.n) end
  return copy:finish()
end

-- Transactions

-- One transaction: its connection, and the failure after which the server takes no more statements.
local function statement_of(state, method)
  return function(...)
    local failure = state.failure
    if failure then return unpack(failure, 1, failure.n) end
    local results = pack(state.lease[method](state.lease, state.options, ...))
    if failed(results, 1) then state.failure = results end
    return unpack(results, 1, results.n)
  end
end

-- tx.savepoint(function() … end): what it did is undone when it raises, fails or answers nil, text, name; the
-- transaction goes on.
local function savepoint(state, tx, run)
  state.depth = state.depth + 1
  local name = "s" .. state.depth
  local done, text, why, info = tx.exec("SAVEPOINT " .. name)
  if not done then return nil, text, why, info end
  local results = pack(pcall(run, tx))
  state.depth = state.depth - 1
  local failure = state.failure
  if results[1] and not failure and not failed(results, 2) then
    done, text, why, info = tx.exec("RELEASE SAVEPOINT " .. name)
    if not done then return nil, text, why, info end
    return unpack(results, 2, results.n)
  end
  state.failure = nil
  done = tx.batch { { "ROLLBACK TO SAVEPOINT " .. name }, { "RELEASE SAVEPOINT " .. name } }
  if not results[1] then error(results[2], 0) end
  if failure and (not done or not failed(results, 2)) then return unpack(failure, 1, failure.n) end
  return unpack(results, 2, results.n)
end

local function transaction_of(lease, options)
  local state = { lease = lease, options = options, depth = 0 }
  local tx = {}
  for _, method in ipairs { "query", "one", "exec", "batch" } do tx[method] = statement_of(state, method) end
  function tx.rows(...)
    local stream = lease:rows(options, ...)
    return each_row(stream, function() end)
  end
  function tx.copy_in(sql, source)
    local started = pack(lease:start(options))
    if not started[1] then return unpack(started, 1, started.n) end
    local results = pack(copy_in(lease, options, sql, source))
    if failed(results, 1) then state.failure = results end
    return unpack(results, 1, results.n)
  end
  function tx.copy_out(sql)
    local started, text, name, info = lease:start(options)
    if not started then problem.of_failure(text, name, info) end
    return each_piece(lease:copy_out(options, sql), function() end)
  end
  function tx.savepoint(run) return savepoint(state, tx, run) end
  return tx, state
end

local function begin_of(settings)
  local words = { "BEGIN" }
  local isolation = settings.isolation
  if isolation then
    if not ISOLATION[isolation] then error("there is no isolation level " .. tostring(isolation), 0) end
    words[#words + 1] = "ISOLATION LEVEL " .. isolation:upper()
  end
  if settings.read_only then words[#words + 1] = "READ ONLY" end
  return table.concat(words, " ")
end

local function name_of(settings, run)
  if settings.name then return settings.name end
  local info = debug.getinfo(run, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

-- After a COMMIT whose answer did not come, only the database knows: read back what the transaction was to write.
local function commit(lease, options)
  local done, text, name, info = lease:commit(options)
  lease:close(done)
  if done then return true end
  if name == "closed" or name == "timeout" then
    info = info or {}
    info.unknown = true
  end
  return nil, text, name, info
end

-- Runs it once: whether run raised nothing, and what it or the transaction came to; then the failure of the
-- transaction, if any.
local function attempt(options, settings, run)
  local begin = begin_of(settings)
  local lease, text, name = native.lease(options)
  if not lease then return pack(true, nil, text, name) end
  local begun = pack(lease:begin(begin, name_of(settings, run)))
  if failed(begun, 1) then
    lease:close(false)
    return pack(true, unpack(begun, 1, begun.n))
  end
  local tx, state = transaction_of(lease, options)
  local results = pack(pcall(run, tx))
  local failure = state.failure
  if not results[1] or failed(results, 2) then
    lease:close(false)
    return results, failure
  end
  if failure then
    lease:close(false)
  else
    local done = pack(commit(lease, options))
    if done[1] then return results end
    failure = done
  end
  return pack(true, unpack(failure, 1, failure.n)), failure
end

local function passes(failure)
  local info = failure and failure[4]
  return info and PASSING[info.sqlstate]
end

local function retries_of(settings)
  local retries = settings.retry == true and RETRIES or settings.retry or 0
  return math.min(retries, RETRIES_MOST)
end

local function transaction(options, ...)
  local settings, run = given("pg.transaction", ...)
  local retries = retries_of(settings)
  for try = 0, retries do
    local results, failure = attempt(options, settings, run)
    if try == retries or not passes(failure) then
      if not results[1] then error(results[2], 0) end
      return unpack(results, 2, results.n)
    end
    sleep(math.random() * math.min(PAUSE_MOST_MS, PAUSE_MS * 2 ^ try))
  end
end

-- The functions, each made for given options

local make = {}

local function bound(options)
  return setmetatable({}, { __index = function(functions, name)
    local of = make[name]
    if not of then return nil end
    local made = of(options)
    rawset(functions, name, made)
    return made
  end })
end

-- The same functions with these options as well: { tenant, timeout_ms, replica, min_lsn, slow, repeatable }.
make["with"] = function(options)
  return function(more)
    local all = {}
    for name, value in pairs(options or {}) do all[name] = value end
    for name, value in pairs(more) do
      if not OPTIONS[name] then error("there is no option " .. tostring(name), 2) end
      all[name] = value
    end
    return bound(all)
  end
end

-- The same functions behind the tenant's fence: row-level security sees this tenant and no other.
function make.tenant(options)
  local with = make["with"](options)
  return function(id)
    if type(id) ~= "string" or id == "" then error("a tenant's id expected", 2) end
    return with { tenant = id }
  end
end

function make.query(options)
  return function(sql, ...) return native.query(options, sql, ...) end
end

-- The first row, or nil.
function make.one(options)
  return function(sql, ...) return native.one(options, sql, ...) end
end

-- How many rows were affected.
function make.exec(options)
  return function(sql, ...) return native.exec(options, sql, ...) end
end

-- pg.batch { { sql, … }, … }: one round trip and one fate; what each answered, rows or the number of rows affected.
function make.batch(options)
  return function(list) return native.batch(options, list) end
end

-- pg.transaction([settings,] function(tx) … end) → what the function returned, once it is committed; the function may
-- also be the settings' last entry, as in redis.transaction { …, function(tx) … end }. It is rolled
-- back when the function raises, when a statement has failed, when the function answers nil, text, name, and when the
-- request ends. tx has query, one, exec, batch, rows, copy_in, copy_out and savepoint. settings: isolation, read_only,
-- retry (how often more after a serialization failure or a deadlock; true: 3), name (for the log).
function make.transaction(options)
  return function(settings, run) return transaction(options, settings, run) end
end

-- for row in pg.rows(sql, …) do: a large result, read as fast as the loop goes. Raises a failure. A loop that is left
-- early should call close() on the iterator.
function make.rows(options)
  return function(...)
    local lease, text, name = native.lease(options)
    if not lease then problem.of_failure(text, name) end
    local clean = true
    local rows = each_row(opened(lease, "rows", options, ...), function() lease:close(clean) end)
    local close = rows.close
    rows.close = function()
      clean = false
      close()
    end
    return rows
  end
end

-- pg.copy_in("COPY t (a, b) FROM STDIN", source) → how many rows. The source is a list, or a function called until it
-- answers nil, of rows (lists of values as parameters are) or texts (in COPY's own form). All or nothing: a function
-- that answers nil, text, name has failed, and so has the copy.
function make.copy_in(options)
  return function(sql, source)
    return transaction(options, { name = "copy_in" }, function(tx) return tx.copy_in(sql, source) end)
  end
end

-- for text in pg.copy_out("COPY t TO STDOUT") do: whole lines. Raises a failure, as pg.rows.
function make.copy_out(options)
  return function(sql)
    local lease, text, name = native.lease(options)
    if not lease then problem.of_failure(text, name) end
    local started, why, what, info = lease:begin("BEGIN READ ONLY", "copy_out")
    if started then started, why, what, info = lease:start(options) end
    if not started then
      lease:close(false)
      problem.of_failure(why, what, info)
    end
    return each_piece(opened(lease, "copy_out", options, sql), function() lease:close(false) end)
  end
end

function make.notify(options)
  return function(channel, payload)
    local row, text, name, info = native.one(options, "select pg_notify($1, $2)", channel, payload or "")
    if not row then return nil, text, name, info end
    return true
  end
end

-- Where the database's log ends now: after a write, pg.with { replica = true, min_lsn = pg.lsn() } reads it back.
function make.lsn(options)
  return function()
    local row, text, name, info =
      native.one(options, "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint as lsn")
    if not row then return nil, text, name, info end
    return row.lsn
  end
end

local pg = bound(nil)
pg.null = json.null
for _, name in ipairs { "array", "json", "bytes", "listen", "lag", "counts", "waited" } do pg[name] = native[name] end

return pg
