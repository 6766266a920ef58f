-- redis.lua: Redis by its commands' own names, with pipelines, transactions, scripts and subscriptions.
--
-- redis.hset(key, …) and redis.call("HSET", key, …) answer what the server does: texts (any bytes), whole numbers
-- (decimals beyond 2^53), lists, tables; nil for nothing, and redis.null for nothing inside of a list. A failure, also
-- one that the server answers, is nil, a sentence and a name; inside of a list it is { error = name, detail = text }.
local given = require "lib.transaction"

local ok, native = pcall(require, "redis.native")
if not ok then return require "lib.absent" "there is no Redis here: the setting redis_url is empty" end

local redis = { null = json.null, call = native.call, subscribe = native.subscribe }

local FOREVER_MS = 3600000

-- The arguments as a list; one that is missing in the middle or at the end is a mistake, not a shorter command.
local function pack(...)
  local list = { ... }
  for i = 1, select("#", ...) do
    if list[i] == nil then error(("argument %d is nil; Redis takes texts and numbers"):format(i - 1), 3) end
  end
  return list
end

-- A table whose functions run the command of their name: names(run).hset(…) is run("HSET", …).
local function names(run)
  return setmetatable({}, { __index = function(commands, name)
    local verb = name:upper()
    local function command(...) return run(verb, ...) end
    rawset(commands, name, command)
    return command
  end })
end

-- Commands that wait on the server need a connection of their own: how long they do, and the key that finds the node.
local function at_end(argv) return tonumber(argv[#argv]), argv[2] end
local function at_start(argv) return tonumber(argv[2]), argv[4] end

local BLOCKING = {
  BLPOP = at_end, BRPOP = at_end, BLMOVE = at_end, BRPOPLPUSH = at_end, BZPOPMIN = at_end, BZPOPMAX = at_end,
  BLMPOP = at_start, BZMPOP = at_start,
}

local function of_streams(argv)
  local seconds
  for i, word in ipairs(argv) do
    word = tostring(word):upper()
    if word == "STREAMS" then return seconds, argv[i + 1] end
    if word == "BLOCK" then seconds = (tonumber(argv[i + 1]) or 0) / 1000 end
  end
end

BLOCKING.XREAD, BLOCKING.XREADGROUP = of_streams, of_streams

local function milliseconds(seconds)
  return seconds > 0 and seconds * 1000 + 1000 or FOREVER_MS
end

-- Calls run(connection) with a connection that nobody else uses meanwhile; its functions are the commands' names, and
-- pipeline(list). options: key (finds the node of a cluster), tenant (whose share of the pool it is).
function redis.connection(run, options)
  options = options or {}
  local lease, text, name = native.lease(options.tenant or "", options.key or "")
  if not lease then return nil, text, name end
  local connection = names(function(verb, ...)
    local seconds = BLOCKING[verb] and BLOCKING[verb] { verb, ... }
    if seconds then return lease:wait(milliseconds(seconds), verb, ...) end
    return lease:call(verb, ...)
  end)
  connection.pipeline = function(list) return lease:pipeline(list) end
  local function finish(fine, ...)
    lease:close(fine)
    if fine then return ... end
    error((...), 0)
  end
  return finish(pcall(run, connection))
end

local function run_command(verb, ...)
  local find = BLOCKING[verb]
  if not find then return native.call(verb, ...) end
  local argv = pack(verb, ...)
  local seconds, key = find(argv)
  if not seconds then return native.call(verb, ...) end
  return redis.connection(function(connection) return connection[verb:lower()](unpack(argv, 2)) end,
    { key = tostring(key or "") })
end

-- The same commands, where a replica may answer those that only read: the value may be a little older.
redis.replica = names(native.replica)

-- redis.within(ms, replica, "GET", key): one command that is given up after so long; replica: one may answer.
redis.within = native.within

-- Sends many commands at once and answers the list of their answers: a list of { name, argument … }, or a function
-- that calls the commands of its argument.
function redis.pipeline(commands)
  if type(commands) ~= "function" then return native.pipeline(commands) end
  local list = {}
  commands(names(function(...) list[#list + 1] = pack(...) end))
  return native.pipeline(list)
end

-- Why a queued command was refused; the whole is undone then.
local function refusal(answers)
  for _, answer in ipairs(answers) do
    if type(answer) == "table" and answer.error then return nil, answer.detail, answer.error end
  end
end

local function execute(connection, list)
  table.insert(list, 1, { "MULTI" })
  list[#list + 1] = { "EXEC" }
  local answers, text, name = connection.pipeline(list)
  if not answers then return nil, text, name end
  local results = answers[#answers]
  if results == redis.null then return nil end
  if results.error then return refusal(answers) end
  return results
end

-- redis.transaction([{ watch = { key, … } },] function(tx) … end) → the answers of what tx queued, in order, all done
-- at once; a plain nil when a watched key was changed by another: read again, and try again. Inside, read with
-- redis.get(…) and the like, and queue with tx.set(…) and the like; return false to do nothing after all. The function
-- may also be the settings' last entry, as in pg.transaction { …, function(tx) … end }.
function redis.transaction(...)
  local options, run = given("redis.transaction", ...)
  local watch, list = options.watch or {}, {}
  local tx = names(function(...) list[#list + 1] = pack(...) end)
  if #watch == 0 and run(tx) == false then return false end
  return redis.connection(function(connection)
    if #watch > 0 then
      local done, text, name = connection.watch(unpack(watch))
      if not done then return nil, text, name end
      if run(tx) == false then
        connection.unwatch()
        return false
      end
    end
    return execute(connection, list)
  end, { key = tostring(watch[1] or (list[1] and list[1][2]) or ""), tenant = options.tenant })
end

-- A script that runs on the server, as a function of (keys, arguments), two lists. It is called by its digest; its
-- text is sent only to a server that does not know it.
function redis.script(text)
  local digest = native.sha1(text)
  return function(keys, arguments)
    local argv = { digest, #keys }
    for _, key in ipairs(keys) do argv[#argv + 1] = key end
    for _, argument in ipairs(arguments or {}) do argv[#argv + 1] = argument end
    local answer, why, name = native.call("EVALSHA", unpack(argv))
    if not name or not why:find("^NOSCRIPT") then return answer, why, name end
    argv[1] = text
    return native.call("EVAL", unpack(argv))
  end
end

return setmetatable(redis, getmetatable(names(run_command)))
