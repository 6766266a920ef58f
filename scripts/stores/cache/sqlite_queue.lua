-- sqlite_queue.lua: a queue in a table: entries given out for a time, retries, dead letters.
local queue = {}

local LENGTH_MOST, DEAD_MOST = 100000, 10000
local COUNT, CLAIM_MS, TRIES, POLL_MS = 10, 60000, 5, 100

local PUSH = "INSERT INTO jobs (queue, tenant, id, payload) SELECT ?, ?, ?, ? "
  .. "WHERE (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE queue = ? LIMIT ?)) < ?"
local TAKE = "UPDATE jobs SET tries = tries + 1, given_at = now_ms(), consumer = ? WHERE entry IN "
  .. "(SELECT entry FROM jobs WHERE queue = ? AND given_at <= now_ms() - ? ORDER BY entry LIMIT ?) "
  .. "RETURNING entry, tenant, id, payload, tries"
local RELEASE = "UPDATE jobs SET tries = tries - 1, given_at = now_ms() - ?, consumer = NULL "
  .. "WHERE queue = ? AND entry = ?"
local BURY = "INSERT INTO dead_jobs (queue, tenant, id, payload, tries, why) "
  .. "SELECT queue, tenant, id, payload, ?, ? FROM jobs WHERE queue = ? AND entry = ?"
local DROP = "DELETE FROM jobs WHERE queue = ? AND entry = ?"
local FORGET = "DELETE FROM dead_jobs WHERE queue = ? AND entry <= "
  .. "(SELECT entry FROM dead_jobs WHERE queue = ? ORDER BY entry DESC LIMIT 1 OFFSET ?)"

function queue.queue_push(db, tenant, name, payload, options)
  local id = options and options.id or ident.uuid()
  local changes, text, why = db:exec(PUSH, { name, tenant, id, payload, name, LENGTH_MOST, LENGTH_MOST })
  if not changes then return nil, text, why end
  if changes == 0 then return nil, "the queue " .. name .. " is full", "busy" end
  return id
end

function queue.queue_ack(db, name, message)
  local done, text, why = db:exec(DROP, { name, message.entry })
  if not done then return nil, text, why end
  return true
end

function queue.queue_release(db, name, _, message, options)
  local idle_ms = math.max(0, options.claim_ms - options.delay_ms)
  local done, text, why = db:exec(RELEASE, { idle_ms, name, message.entry })
  if not done then return nil, text, why end
  return true
end

function queue.queue_bury(db, name, message, why)
  local done, text, err = db:transaction {
    { BURY, { message.tries, why, name, message.entry } },
    { DROP, { name, message.entry } },
    { FORGET, { name, name, DEAD_MOST } },
  }
  if not done then return nil, text, err end
  return true
end

function queue.queue_dead(db, name, options)
  return db:query("SELECT entry, tenant, id, payload, tries, why FROM dead_jobs WHERE queue = ? ORDER BY entry LIMIT ?",
    { name, options and options.count or 100 })
end

local function take(db, name, consumer, options)
  local results, text, why = db:transaction {
    { TAKE, { consumer, name, options.claim_ms or CLAIM_MS, options.count or COUNT } },
  }
  if not results then return nil, text, why end
  local list = {}
  table.sort(results[1].rows, function(a, b) return a.entry < b.entry end)
  for _, message in ipairs(results[1].rows) do
    if message.tries <= (options.tries or TRIES) then
      list[#list + 1] = message
    else
      message.tries = message.tries - 1
      local done
      done, text, why = queue.queue_bury(db, name, message, "given up after " .. message.tries .. " tries")
      if not done then return nil, text, why end
    end
  end
  return list
end

-- Asking writes, so that an empty queue is looked at before.
local function has_work(db, name, claim_ms)
  local rows, text, why = db:query("SELECT 1 FROM jobs WHERE queue = ? AND given_at <= now_ms() - ? LIMIT 1",
    { name, claim_ms })
  if not rows then return nil, text, why end
  return #rows > 0
end

function queue.queue_take(db, name, consumer, options)
  options = options or {}
  local until_ms = clock.now_ms() + (options.wait_ms or 0)
  while true do
    local due, text, why = has_work(db, name, options.claim_ms or CLAIM_MS)
    if due == nil then return nil, text, why end
    if due then
      local list
      list, text, why = take(db, name, consumer, options)
      if not list or #list > 0 then return list, text, why end
    end
    if clock.now_ms() >= until_ms then return {} end
    local rested
    rested, text, why = sleep(POLL_MS)
    if not rested then return nil, text, why end
  end
end

return queue
