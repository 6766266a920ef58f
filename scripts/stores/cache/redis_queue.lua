-- redis_queue.lua: a queue on a stream with one group of consumers: leases, retries, dead letters.
--
-- An entry stays pending until it is acknowledged. Whoever has left one for claim_ms loses it to the next who asks.
local redis = require "lib.redis"

local queue = {}

local GROUP = "workers"
local LENGTH_MOST, DEAD_MOST = 100000, 10000
local COUNT, CLAIM_MS, TRIES = 10, 60000, 5

local function key_of(name)
  return "queue:" .. name
end

local PUSH = redis.script [[
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
return redis.call('XADD', KEYS[1], '*', 'tenant', ARGV[2], 'id', ARGV[3], 'payload', ARGV[4])
]]

-- What was abandoned first, then what is new: { entry, times it was given out, fields }.
local TAKE = redis.script [[
local key, group, consumer, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local function claim(cursor)
  return redis.pcall('XAUTOCLAIM', key, group, consumer, ARGV[4], cursor, 'COUNT', count)
end
local taken, cursor = {}, '0-0'
local step = claim(cursor)
if step.err then
  if not step.err:find('NOGROUP') then return step end
  redis.call('XGROUP', 'CREATE', key, group, '0', 'MKSTREAM')
  step = claim(cursor)
end
for round = 1, 10 do
  for _, entry in ipairs(step[2]) do
    if entry and #taken < count then
      local pending = redis.call('XPENDING', key, group, entry[1], entry[1], 1)
      taken[#taken + 1] = { entry[1], pending[1] and pending[1][4] or 1, entry[2] }
    end
  end
  cursor = step[1]
  if cursor == '0-0' or #taken >= count then break end
  step = claim(cursor)
end
if #taken >= count then return taken end
local fresh = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count - #taken, 'STREAMS', key, '>')
for _, entry in ipairs(fresh and fresh[1] and fresh[1][2] or {}) do taken[#taken + 1] = { entry[1], 1, entry[2] } end
return taken
]]

function queue.queue_push(tenant, name, payload, options)
  local id = options and options.id or ident.uuid()
  local entry, text, why = PUSH({ key_of(name) }, { LENGTH_MOST, tenant, id, payload })
  if why then return nil, text, why end
  if not entry then return nil, "the queue " .. name .. " is full", "busy" end
  return id
end

local function fields_of(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function shown(entry, tries, flat)
  local fields = fields_of(flat)
  return { entry = entry, tries = tries, tenant = fields.tenant, id = fields.id, payload = fields.payload }
end

local function drop(name, entry)
  local answers, text, why = redis.pipeline {
    { "XACK", key_of(name), GROUP, entry },
    { "XDEL", key_of(name), entry },
  }
  if not answers then return nil, text, why end
  for _, answer in ipairs(answers) do
    if type(answer) == "table" then return nil, answer.detail, answer.error end
  end
  return true
end

function queue.queue_ack(name, message)
  return drop(name, message.entry)
end

-- It stays pending, with the idle time that it will have reached claim_ms with when it is due.
function queue.queue_release(name, consumer, message, options)
  local idle_ms = math.max(0, options.claim_ms - options.delay_ms)
  local done, text, why = redis.xclaim(key_of(name), GROUP, consumer, 0, message.entry, "IDLE", idle_ms,
    "RETRYCOUNT", message.tries - 1, "JUSTID")
  if not done then return nil, text, why end
  return true
end

-- The copy comes first: after a crash in between there are two, which have one id.
function queue.queue_bury(name, message, why)
  local done, text, err = redis.xadd(key_of(name) .. ":dead", "MAXLEN", "~", DEAD_MOST, "*", "tenant", message.tenant,
    "id", message.id, "payload", message.payload, "tries", message.tries, "why", why)
  if not done then return nil, text, err end
  return drop(name, message.entry)
end

function queue.queue_dead(name, options)
  local entries, text, err = redis.xrange(key_of(name) .. ":dead", "-", "+", "COUNT", options and options.count or 100)
  if not entries then return nil, text, err end
  local list = {}
  for i, entry in ipairs(entries) do
    local fields = fields_of(entry[2])
    list[i] = shown(entry[1], tonumber(fields.tries), entry[2])
    list[i].why = fields.why
  end
  return list
end

local function wait_for_new(name, consumer, count, wait_ms)
  local streams, text, why = redis.xreadgroup("GROUP", GROUP, consumer, "COUNT", count, "BLOCK", wait_ms,
    "STREAMS", key_of(name), ">")
  if why then return nil, text, why end
  local taken = {}
  for i, entry in ipairs(streams and streams[key_of(name)] or {}) do taken[i] = { entry[1], 1, entry[2] } end
  return taken
end

function queue.queue_take(name, consumer, options)
  options = options or {}
  local count = options.count or COUNT
  local taken, text, why = TAKE({ key_of(name) }, { GROUP, consumer, count, options.claim_ms or CLAIM_MS })
  if taken and #taken == 0 and (options.wait_ms or 0) >= 1 then
    taken, text, why = wait_for_new(name, consumer, count, options.wait_ms)
  end
  if not taken then return nil, text, why end
  local list = {}
  for _, given in ipairs(taken) do
    local message = shown(given[1], given[2], given[3])
    if message.tries <= (options.tries or TRIES) then
      list[#list + 1] = message
    else
      message.tries = message.tries - 1
      local done
      done, text, why = queue.queue_bury(name, message, "given up after " .. message.tries .. " tries")
      if not done then return nil, text, why end
    end
  end
  return list
end

return queue
