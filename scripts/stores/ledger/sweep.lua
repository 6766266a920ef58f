-- sweep.lua: what goes after a time: keys that have expired, and checkouts that came to nothing.
--
-- In small transactions, so that nobody waits for a sweep for long; what somebody works on at the moment is left out.
-- What has left the outbox is gone already. Payments, refunds, the audit trail and orders' events stay for good, and so
-- does a checkout that has a payment or an order: its key must answer the same whenever it is sent again.
local BATCH = 500
-- A key that has expired is kept for a while: its epoch refuses who was late.
local KEY_KEPT_MS = 3600 * 1000
local CHECKOUT_KEPT_MS = 30 * 24 * 3600 * 1000
-- A run ends after so long; what is left then is the next one's.
local RUN_MS = 20000

-- Nobody works on it, nobody has for long, and no payment is known to have begun: the index's own words first.
local DUE = ([[c.kept = 0 AND c.state IN ('claimed', 'frozen', 'reserved', 'failed', 'released')
  AND c.updated_at <= (SELECT {in -%.0f}) AND (c.lease_until IS NULL OR c.lease_until <= (SELECT {in -%.0f}))]])
  :format(CHECKOUT_KEPT_MS, CHECKOUT_KEPT_MS)
local PAID = "EXISTS (SELECT 1 FROM payment_transactions p WHERE p.tenant_id = c.tenant_id AND p.order_id = c.order_id)"

return function(sql)
  local KEYS = sql(([[DELETE FROM idempotency_keys WHERE (tenant_id, caller, route, key) IN
    (SELECT tenant_id, caller, route, key FROM idempotency_keys WHERE expires_at <= (SELECT {in -%d})
    ORDER BY expires_at LIMIT %d {skip_locked idempotency_keys}) RETURNING epoch]]):format(KEY_KEPT_MS, BATCH))
  local LOOK = sql(("SELECT c.tenant_id, c.id FROM checkouts c WHERE " .. DUE .. " ORDER BY c.updated_at LIMIT %d")
    :format(BATCH))
  local THESE = "(SELECT c.id FROM checkouts c WHERE c.tenant_id = ? "
    .. "AND c.id IN (SELECT {uuid value} FROM {texts ?}) AND " .. DUE
  local KEEP = sql("UPDATE checkouts SET kept = 1 WHERE id IN " .. THESE .. " AND " .. PAID
    .. " {skip_locked c}) RETURNING id")
  local DROP = sql("DELETE FROM checkouts WHERE id IN " .. THESE .. " AND NOT " .. PAID
    .. " {skip_locked c}) RETURNING id")

  local function sweep_keys(engine)
    local rows, text, name = engine.write("*", { { KEYS, {} } })
    if not rows then return nil, text, name end
    return #rows[1], #rows[1] == BATCH
  end

  -- Whether there are payments can be seen behind the fence of their own tenant only.
  local function sweep_checkouts(engine)
    local found, text, name = engine.read("*", { LOOK, {} })
    if not found then return nil, text, name end
    local by_tenant, count, settled = {}, 0, 0
    for _, row in ipairs(found) do
      by_tenant[row.tenant_id] = by_tenant[row.tenant_id] or json.array {}
      table.insert(by_tenant[row.tenant_id], row.id)
    end
    for tenant, ids in pairs(by_tenant) do
      local list = json.encode(ids)
      local rows
      rows, text, name = engine.write(tenant, { { KEEP, { tenant, list } }, { DROP, { tenant, list } } })
      if not rows then return nil, text, name end
      count, settled = count + #rows[2], settled + #rows[1] + #rows[2]
    end
    -- Others may be at all of these: then there is nothing to be gained by looking again at once.
    return count, #found == BATCH and settled > 0
  end

  local calls = {}

  function calls.sweep(engine)
    local sum, until_ms = 0, clock.now_ms() + RUN_MS
    for _, part in ipairs { sweep_keys, sweep_checkouts } do
      repeat
        local count, more, name = part(engine)
        if not count then return nil, more, name end
        sum = sum + count
      until not more or clock.now_ms() >= until_ms
    end
    return sum
  end

  return { calls = calls, platform = { sweep = true } }
end
