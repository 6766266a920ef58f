-- checkouts.lua: checkouts: claimed by key, advanced under an epoch, taken over when their lease has run out.
local answers = require "stores.ledger.answers"
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

local CLAIM = { caller = "text", route = "text", key = "text", hash = "text", lease_ms = "ms", orderId = "uuid",
  orderNumber = "text", reservation = "text" }
local CHANGE = { epoch = "whole", from = "texts?", state = "text?", quote = "json?", data = "json?", answer = "answer?",
  lease_ms = "lease?" }
local LIMIT, LIMIT_MOST = 10, 1000

local STATES = { claimed = true, frozen = true, reserved = true, charging = true, awaiting_action = true, paid = true,
  done = true, failed = true, released = true }
local ENDS = { done = true, failed = true, released = true }
local OVER = "state IN ('done', 'failed', 'released')"
-- Nobody works on it: it was left, or waits for the shopper.
local LEFT = "(checkouts.lease_until IS NULL OR checkouts.lease_until <= {now} OR checkouts.parked = 1)"

local COLUMNS = "id, tenant_id, caller, route, key, hash, order_id, order_number, reservation, state, epoch, "
  .. "{text quote} AS quote, {text data} AS data, status, {text headers} AS headers, body, "
  .. "{ms created_at} AS created_at, {ms updated_at} AS updated_at"

local function decoded(text)
  return text and json.decode(text)
end

local function checkout_of(row)
  return row and {
    id = row.id, tenant = row.tenant_id, caller = row.caller, route = row.route, key = row.key, hash = row.hash,
    orderId = row.order_id, orderNumber = row.order_number, reservation = row.reservation, state = row.state,
    epoch = row.epoch, quote = decoded(row.quote), data = decoded(row.data), answer = answers.of(row),
    createdAt = row.created_at, updatedAt = row.updated_at,
  }
end

return function(sql)
  local CLAIM_ROW = sql([[INSERT INTO checkouts (id, tenant_id, caller, route, key, hash, order_id, order_number,
    reservation, state, epoch, lease_until, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'claimed', 1, {in ?}, {now}, {now})
    ON CONFLICT (tenant_id, caller, route, key) WHERE state <> 'released' DO UPDATE SET epoch = checkouts.epoch + 1,
    parked = 0, lease_until = excluded.lease_until, updated_at = excluded.updated_at
    WHERE checkouts.hash = excluded.hash AND NOT checkouts.]] .. OVER .. " AND " .. LEFT
    .. " RETURNING " .. COLUMNS)
  local BY_KEY = sql("SELECT " .. COLUMNS .. [[, {higher {ms lease_until} - {clock} | 1} AS retry_ms FROM checkouts
    WHERE tenant_id = ? AND caller = ? AND route = ? AND key = ? AND state <> 'released']])
  local ADVANCE = sql([[UPDATE checkouts SET state = coalesce(?, state), quote = coalesce(?, quote),
    data = coalesce(?, data), status = coalesce(?, status), headers = coalesce(?, headers),
    body = coalesce({bytes ?}, body), parked = coalesce(?, parked), updated_at = {now},
    lease_until = CASE {whole ?} WHEN 0 THEN lease_until WHEN 1 THEN NULL ELSE {in ?} END
    WHERE tenant_id = ? AND id = ? AND epoch = ? AND NOT ]] .. OVER .. [[ AND ({text ?} IS NULL
    OR state IN (SELECT value FROM {texts ?})) RETURNING ]] .. COLUMNS)
  local RENEW = sql([[UPDATE checkouts SET lease_until = {in ?} WHERE tenant_id = ? AND id = ? AND epoch = ?
    AND NOT ]] .. OVER .. " RETURNING epoch")
  local IS = sql "SELECT id FROM checkouts WHERE tenant_id = ? AND id = ? {lock}"
  local RESUME = sql("UPDATE checkouts SET epoch = epoch + 1, parked = 0, lease_until = {in ?}, "
    .. "updated_at = {now} WHERE tenant_id = ? AND id = ? AND NOT " .. OVER .. " AND " .. LEFT
    .. " RETURNING " .. COLUMNS)
  local GET = sql("SELECT " .. COLUMNS .. " FROM checkouts WHERE tenant_id = ? AND id = ?")
  local OF_ORDER = sql("SELECT " .. COLUMNS .. " FROM checkouts WHERE tenant_id = ? AND order_id = ?")
  local TAKE = sql([[WITH due AS MATERIALIZED (SELECT id FROM checkouts WHERE NOT ]] .. OVER .. [[
    AND lease_until <= (SELECT {now}) ORDER BY lease_until LIMIT ? {skip_locked checkouts})
    UPDATE checkouts SET epoch = epoch + 1, parked = 0, lease_until = {in ?}, updated_at = {now}
    WHERE id IN (SELECT id FROM due) RETURNING ]] .. COLUMNS)

  local steps, calls, reads = {}, {}, {}

  local function verdict(taken, found, clean)
    if taken then return { state = "new", checkout = checkout_of(taken) } end
    if found.hash ~= clean.hash then return { state = "other" } end
    if found.state == "done" or found.state == "failed" then
      return { state = "done", checkout = checkout_of(found) }
    end
    return { state = "running", retry_ms = found.retry_ms, checkout = checkout_of(found) }
  end

  function calls.checkout_claim(engine, tenant, claim)
    local clean, text, name = fields.clean(CLAIM, claim)
    if not clean then return nil, text, name end
    local rows
    rows, text, name = engine.write(tenant, {
      { CLAIM_ROW, { ident.uuid(), tenant, clean.caller, clean.route, clean.key, clean.hash, clean.orderId,
        clean.orderNumber, clean.reservation, clean.lease_ms }, into = "checkouts" },
      { BY_KEY, { tenant, clean.caller, clean.route, clean.key } },
    })
    if not rows then return nil, text, name end
    return verdict(rows[1][1], rows[2][1], clean)
  end

  -- What becomes of the lease: kept, ended, or as long as given. What is over has none.
  local function lease_of(clean)
    if ENDS[clean.state] or clean.lease_ms == false then return 1, 0 end
    if not clean.lease_ms then return 0, 0 end
    return 2, clean.lease_ms
  end

  -- Whether it waits for the shopper from now on; nil: as before.
  local function parked_of(state)
    if not state then return nil end
    return state == "awaiting_action" and 1 or 0
  end

  function steps.checkout_advance(tenant, id, change)
    local checked, text, name = fields.one("uuid", "the checkout's id", id)
    if not checked then return nil, text, name end
    local clean
    clean, text, name = fields.clean(CHANGE, change)
    if not clean then return nil, text, name end
    if clean.state and not STATES[clean.state] then return nil, "there is no state " .. clean.state, "invalid" end
    local answer = clean.answer or {}
    local kind, lease_ms = lease_of(clean)
    return unit.last({ unit.one(ADVANCE, { clean.state, clean.quote, clean.data, answer.status, answer.headers,
      unit.bytes(answer.body), parked_of(clean.state), kind, lease_ms, tenant, checked, clean.epoch, clean.from,
      clean.from, n = 14 },
      "the checkout is another one's now, or in another state") }, checkout_of)
  end

  function steps.checkout_renew(tenant, id, lease)
    local clean, text, name = fields.clean({ epoch = "whole", lease_ms = "ms" }, lease)
    if not clean then return nil, text, name end
    id, text, name = fields.one("uuid", "the checkout's id", id)
    if not id then return nil, text, name end
    return unit.always({ unit.one(RENEW, { clean.lease_ms, tenant, id, clean.epoch },
      "the checkout is another one's now, or over") }, true)
  end

  function steps.checkout_resume(tenant, id, lease)
    local clean, text, name = fields.clean({ lease_ms = "ms" }, lease)
    if not clean then return nil, text, name end
    id, text, name = fields.one("uuid", "the checkout's id", id)
    if not id then return nil, text, name end
    return unit.last({
      unit.one(IS, { tenant, id }, "there is no such checkout", "not_found"),
      unit.one(RESUME, { clean.lease_ms, tenant, id }, "somebody works on the checkout, or it is over"),
    }, checkout_of)
  end

  function calls.checkout_take(engine, options)
    local clean, text, name = fields.clean({ lease_ms = "ms" }, options)
    if not clean then return nil, text, name end
    local limit
    limit, text, name = fields.limit(options.limit, LIMIT, LIMIT_MOST)
    if not limit then return nil, text, name end
    local rows
    rows, text, name = engine.write("*", { { TAKE, { limit, clean.lease_ms } } })
    if not rows then return nil, text, name end
    local list = json.array {}
    for i, row in ipairs(rows[1]) do list[i] = checkout_of(row) end
    return list
  end

  local function by_id(text, what)
    return function(tenant, id)
      local clean, why, name = fields.one("uuid", what, id)
      if not clean then return nil, why, name end
      return { text, { tenant, clean } }, function(rows) return checkout_of(rows[1]) end
    end
  end

  reads.checkout_get = by_id(GET, "the checkout's id")
  reads.checkout_of_order = by_id(OF_ORDER, "the order's id")

  return { steps = steps, calls = calls, reads = reads, platform = { checkout_take = true } }
end
