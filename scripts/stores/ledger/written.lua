-- written.lua: how far a session has written, so that its own reads from a replica are not older than that.
--
-- The mark is in the cache, because a session's next request may come to another worker. Where the cache cannot be
-- asked, the primary is.
local written = {}

-- A replica that is further behind is of no use to anybody.
local KEPT_S = 300

-- Looked up late: the roles are opened one after the other.
local function cache()
  return require("stores").cache
end

-- No replica is as far.
local FAR = "9007199254740992"

-- lsn: how far the server had written after the session's commit; nil when that is not known.
function written.note(tenant, session, lsn)
  local done, text = cache().set(tenant, "written:" .. session, lsn and tostring(lsn) or FAR, KEPT_S)
  if not done then log.warn("session_write_not_noted", { error = text }) end
end

-- What the replica must have replayed: 0 when the session has written nothing lately; nil when that is not known.
function written.lsn(tenant, session)
  local text, _, name = cache().get(tenant, "written:" .. session)
  if name then return nil end
  return text and decimal.new(text) or 0
end

return written
