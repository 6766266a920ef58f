-- postgres_watch.lua: telling everybody that the outbox has grown, and hearing of it: NOTIFY outside of transactions.
--
-- Inside of one it would make all commits of the server wait for each other. So a transaction only leaves a note here,
-- and what has gathered is told at once. When that is lost, whoever looks each second finds the entries all the same.
local pg = require "lib.pg"
local signal = require "signal"

local watch = {}

local CHANNEL = "perigee_outbox"
local WAIT_MS = 1000

local noted = signal.new()
local pending = false

function watch.note()
  pending = true
  noted:fire()
end

-- Whether anything was told.
function watch.announce()
  if not pending then
    local woken, text, name = noted:wait(WAIT_MS)
    if not woken and name ~= "timeout" then return nil, text, name end
  end
  if not pending then return false end
  pending = false
  local done, text, name = pg.query("SELECT pg_notify($1, '')", CHANNEL)
  if done then return true end
  pending = true
  return nil, text, name
end

local subscription = {}
subscription.__index = subscription

-- A notification's text says nothing; false stands for what may have been missed.
function subscription:next(ms)
  local text, why, name
  if self.closed then return nil, "the subscription has been closed", "closed" end
  if ms then text, why, name = self.channel:next(ms) else text, why, name = self.channel() end
  if text == nil then return nil, why, name end
  return text ~= false
end

function subscription:close()
  self.closed = true
  self.channel:close()
end

function subscription:__call()
  return self:next()
end

function watch.open()
  local channel, text, name = pg.listen(CHANNEL, { missed = true })
  if not channel then return nil, text, name end
  return setmetatable({ channel = channel }, subscription)
end

return watch
