-- sqlite_watch.lua: waking up when something was added to the outbox: at once in this process, soon in the others.
local signal = require "signal"
local sqlite = require "sqlite"

local watch = {}

local POLL_MS = 100

local added = signal.new()

local subscription = {}
subscription.__index = subscription

-- Without an entry yet there is no row.
function subscription:highest()
  local rows, text, name = self.db:query "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"
  if not rows then return nil, text, name end
  return rows[1] and rows[1].seq or 0
end

-- true, or false for the first time: what was added before it looked has been missed; nil when nothing was.
function subscription:look()
  if self.closed then return nil, "the subscription has been closed", "closed" end
  local changed, text, name = self.version:changed()
  if changed == nil then return nil, text, name end
  if self.last and not changed and self.seen == watch.count then return nil end
  self.seen = watch.count
  local highest
  highest, text, name = self:highest()
  if not highest then return nil, text, name end
  local before = self.last
  self.last = highest
  if not before then return false end
  return highest > before or nil
end

function subscription:next(ms)
  local until_ms = ms and clock.now_ms() + ms
  while true do
    local news, text, name = self:look()
    if news ~= nil or name then return news, text, name end
    local left = until_ms and until_ms - clock.now_ms() or POLL_MS
    if left <= 0 then return nil, "nothing was added in time", "timeout" end
    local woken
    woken, text, name = added:wait(math.min(left, POLL_MS))
    if not woken and name ~= "timeout" then return nil, text, name end
  end
end

function subscription:close()
  self.closed = true
end

function subscription:__call()
  return self:next()
end

-- How often this process has added something: its own writes do not change what `changed` asks for.
watch.count = 0

function watch.announce()
  watch.count = watch.count + 1
  added:fire()
end

-- A handle of its own, which remembers the version it has seen.
function watch.opener(file, open)
  return function()
    local db, text, name = open()
    if not db then return nil, text, name end
    local version
    version, text, name = sqlite.open(file, { durable = true })
    if not version then return nil, text, name end
    return setmetatable({ db = db, version = version }, subscription)
  end
end

return watch
