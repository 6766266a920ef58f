-- events.lua: what happened to an order, in order.
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

return function(sql)
  local ADD = sql [[INSERT INTO order_events (id, tenant_id, order_id, kind, data, at) VALUES (?, ?, ?, ?, ?, {now})
    RETURNING id]]
  local FIND = sql [[SELECT id, kind, {text data} AS data, {ms order_events.at} AS at FROM order_events
    WHERE tenant_id = ? AND order_id = ? ORDER BY entry]]

  local steps, reads = {}, {}

  function steps.event_add(tenant, order, event)
    local clean, text, name = fields.clean({ id = "uuid?", kind = "text", data = "json?" }, event)
    if not clean then return nil, text, name end
    order, text, name = fields.one("uuid", "the order's id", order)
    if not order then return nil, text, name end
    local id = clean.id or ident.uuid()
    return unit.always({ { ADD, { id, tenant, order, clean.kind, clean.data, n = 5 }, into = "order_events" } }, id)
  end

  function reads.events_of(tenant, order)
    local clean, text, name = fields.one("uuid", "the order's id", order)
    if not clean then return nil, text, name end
    return { FIND, { tenant, clean } }, function(rows)
      local list = json.array {}
      for i, row in ipairs(rows) do
        list[i] = { id = row.id, kind = row.kind, data = row.data and json.decode(row.data), at = row.at }
      end
      return list
    end
  end

  return { steps = steps, reads = reads }
end
