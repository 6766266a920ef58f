-- sqlite_messages.lua: publish and subscribe through a table that subscribers look at.
--
-- PRAGMA data_version tells, without reading the table, that another process has written; what this process writes
-- itself it notes. A subscriber that has not looked for longer than messages are kept counts as having missed some.
local sqlite = require "sqlite"

local messages = {}

-- Kept for a minute; who has not looked for half of that has missed some.
messages.KEPT_MS = 60000
local MISSED_MS = messages.KEPT_MS / 2
local POLL_MS, LOOK_MS = 100, 1000
local BATCH = 100

local written = 0

function messages.publish(db, tenant, channel, text)
  local done, why, name = db:exec("INSERT INTO messages (tenant, channel, text, at) VALUES (?, ?, ?, now_ms())",
    { tenant, channel, text })
  if not done then return nil, why, name end
  written = written + 1
  return true
end

local subscription = {}
subscription.__index = subscription

-- From here on nothing is missed.
function subscription:begin()
  local rows, text, name = self.db:query "SELECT seq FROM sqlite_sequence WHERE name = 'messages'"
  if not rows then return nil, text, name end
  self.last = rows[1] and rows[1].seq or 0
  self.looked_at, self.waiting = clock.now_ms(), {}
  return false, true
end

function subscription:is_due()
  local changed, text, name = self.version:changed()
  if changed == nil then return nil, text, name end
  return changed or self.written ~= written or clock.now_ms() - self.looked_at >= LOOK_MS
end

function subscription:look()
  self.written = written
  local rows, text, name = self.db:query("SELECT id, text FROM messages WHERE tenant = ? AND channel = ? AND id > ? "
    .. "ORDER BY id LIMIT ?", { self.tenant, self.channel, self.last, BATCH })
  if not rows then return nil, text, name end
  self.looked_at, self.waiting, self.at = clock.now_ms(), rows, 0
  if #rows > 0 then self.last = rows[#rows].id end
  -- A full batch may not be all there is.
  if #rows == BATCH then self.written = nil end
  return true
end

-- The next text; false where some may have been missed, first of all when it is live.
function subscription:take()
  if self.closed then return nil, "the subscription has been closed", "closed" end
  if not self.last or clock.now_ms() - self.looked_at > MISSED_MS then return self:begin() end
  if #self.waiting == 0 or self.at >= #self.waiting then
    local due, text, name = self:is_due()
    if name then return nil, text, name end
    if due then
      due, text, name = self:look()
      if not due then return nil, text, name end
    end
  end
  if self.at and self.at < #self.waiting then
    self.at = self.at + 1
    return self.waiting[self.at].text
  end
  return nil
end

function subscription:next(ms)
  local until_ms = ms and clock.now_ms() + ms
  while true do
    local text, why, name = self:take()
    if text ~= nil or name then return text, why, name end
    if until_ms and clock.now_ms() >= until_ms then return nil, "no message came in time", "timeout" end
    local rested
    rested, why, name = sleep(POLL_MS)
    if not rested then return nil, why, name end
  end
end

function subscription:close()
  self.closed = true
end

function subscription:__call()
  return self:next()
end

-- A handle of its own, which remembers the version it has seen.
function messages.subscriber(file)
  return function(db, tenant, channel)
    local version, text, name = sqlite.open(file)
    if not version then return nil, text, name end
    return setmetatable({ db = db, version = version, tenant = tenant, channel = channel, waiting = {}, at = 0 },
      subscription)
  end
end

return messages
