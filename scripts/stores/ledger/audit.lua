-- audit.lua: who changed what and when, from what to what: written once, read in order.
--
-- A record has its number before its transaction ends, so that a higher one may be there first. A reader who goes on
-- behind the highest that it has seen must not pass over the lower: it reads no further than where nobody writes.
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

local RECORD = { id = "uuid?", actor = "text", action = "text", subject = "text", before = "json?", after = "json?",
  requestId = "text?" }
local LIMIT, LIMIT_MOST = 100, 10000
local FOREVER = 2 ^ 46

local function decoded(text)
  return text and json.decode(text)
end

local function record_of(row)
  return { id = row.id, at = row.at, actor = row.actor, action = row.action, subject = row.subject,
    before = decoded(row.before), after = decoded(row.after), requestId = row.request_id }
end

return function(sql)
  local ADD = sql [[INSERT INTO audit_log (id, tenant_id, actor, action, subject, before, after, request_id, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, {now}) RETURNING id]]
  local FIND = sql [[SELECT entry, id, {ms audit_log.at} AS at, actor, action, subject, {text before} AS before,
    {text after} AS after, request_id FROM audit_log WHERE tenant_id = ? AND entry > ?
    AND entry <= ? AND audit_log.at >= {at ?} AND audit_log.at < {at ?} ORDER BY entry LIMIT ?]]
  local LAST = sql "SELECT coalesce(max(entry), 0) AS entry FROM audit_log WHERE tenant_id = ?"

  local steps, calls = {}, {}

  function steps.audit_add(tenant, record)
    local clean, text, name = fields.clean(RECORD, record)
    if not clean then return nil, text, name end
    local id = clean.id or ident.uuid()
    return unit.always({ { ADD, { id, tenant, clean.actor, clean.action, clean.subject, clean.before, clean.after,
      clean.requestId, n = 8 }, into = "audit_log" } }, id)
  end

  -- The number up to which the trail is whole. Who writes has a share of the lock (a trigger takes it, before there is
  -- a number) until the record can be read: once it is held here, all that have a number are there. Only this short
  -- look holds it, and on a connection where nobody else waits behind it.
  local function last_of(engine, tenant)
    local look = { { LAST, { tenant } }, locks = { "audit:" .. tenant }, waits = true }
    local rows, text, name = engine.write(tenant, look)
    if not rows then return nil, text, name end
    return rows[1][1].entry
  end

  function calls.audit_find(engine, tenant, options)
    local clean, text, name = fields.clean({ from = "whole?", to = "whole?", after = "whole?" }, options)
    if not clean then return nil, text, name end
    local limit
    limit, text, name = fields.limit(options.limit, LIMIT, LIMIT_MOST)
    if not limit then return nil, text, name end
    local last
    last, text, name = last_of(engine, tenant)
    if not last then return nil, text, name end
    local rows
    rows, text, name = engine.read(tenant,
      { FIND, { tenant, clean.after or 0, last, clean.from or 0, clean.to or FOREVER, limit } })
    if not rows then return nil, text, name end
    local list = json.array {}
    for i, row in ipairs(rows) do list[i] = record_of(row) end
    return list, #rows == limit and rows[limit].entry or nil
  end

  return { steps = steps, calls = calls }
end
