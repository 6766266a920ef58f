-- audit.lua: who changed what and when, from what to what: written once, read in order.
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
    AND audit_log.at >= {at ?} AND audit_log.at < {at ?} ORDER BY entry LIMIT ?]]

  local steps, reads = {}, {}

  function steps.audit_add(tenant, record)
    local clean, text, name = fields.clean(RECORD, record)
    if not clean then return nil, text, name end
    local id = clean.id or ident.uuid()
    return unit.always({ { ADD, { id, tenant, clean.actor, clean.action, clean.subject, clean.before, clean.after,
      clean.requestId, n = 8 }, into = "audit_log" } }, id)
  end

  function reads.audit_find(tenant, options)
    local clean, text, name = fields.clean({ from = "whole?", to = "whole?", after = "whole?" }, options)
    if not clean then return nil, text, name end
    local limit
    limit, text, name = fields.limit(options.limit, LIMIT, LIMIT_MOST)
    if not limit then return nil, text, name end
    return { FIND, { tenant, clean.after or 0, clean.from or 0, clean.to or FOREVER, limit } }, function(rows)
      local list = json.array {}
      for i, row in ipairs(rows) do list[i] = record_of(row) end
      return list, #rows == limit and rows[limit].entry or nil
    end
  end

  return { steps = steps, reads = reads }
end
