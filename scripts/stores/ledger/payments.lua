-- payments.lua: payments, one for each intent of the payment provider, and their refunds, which never exceed them.
local amount = require "stores.ledger.amount"
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

local PAYMENT = { id = "uuid?", orderId = "uuid", intentId = "text", amount = "amount", currency = "currency",
  status = "text?" }
local CHANGE = { status = "text", failureReason = "note?", from = "texts?" }
local REFUND = { id = "uuid?", paymentId = "uuid", refundId = "text", amount = "refund",
  currency = "currency?", reason = "long?" }
local LIMIT, LIMIT_MOST = 100, 1000

local COLUMNS = "id, order_id, stripe_payment_intent_id, {text amount} AS amount, currency, status, failure_reason, "
  .. "{ms created_at} AS created_at, {ms updated_at} AS updated_at"
local REFUND_COLUMNS = "id, payment_id, stripe_refund_id, {text amount} AS amount, currency, reason, "
  .. "{ms created_at} AS created_at"

local function payment_of(row)
  return row and {
    id = row.id, orderId = row.order_id, intentId = row.stripe_payment_intent_id,
    amount = amount.minor(row.amount, row.currency), currency = row.currency, status = row.status,
    failureReason = row.failure_reason, createdAt = row.created_at, updatedAt = row.updated_at,
  }
end

local function refund_of(row)
  return {
    id = row.id, paymentId = row.payment_id, refundId = row.stripe_refund_id,
    amount = amount.minor(row.amount, row.currency), currency = row.currency, reason = row.reason,
    createdAt = row.created_at,
  }
end

local function each(translate)
  return function(rows)
    local list = json.array {}
    for i, row in ipairs(rows) do list[i] = translate(row) end
    return list
  end
end

-- The steps and the reads, with their texts as this dialect writes them.
return function(sql)
  local ENSURE = sql "INSERT INTO tenants (id) VALUES (?) ON CONFLICT DO NOTHING"
  local TENANT = sql([[INSERT INTO tenants (id, slug, name) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
    SET slug = coalesce(excluded.slug, tenants.slug), name = coalesce(excluded.name, tenants.name)]])
  local ADD = sql([[INSERT INTO payment_transactions (id, tenant_id, order_id, stripe_payment_intent_id, amount,
    currency, status, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, {now}, {now}) RETURNING ]] .. COLUMNS)
  local SET = sql([[UPDATE payment_transactions SET status = ?, failure_reason = ?, updated_at = {now}
    WHERE tenant_id = ? AND id = ? RETURNING ]] .. COLUMNS)
  local IS = sql "SELECT id FROM payment_transactions WHERE tenant_id = ? AND id = ? {lock}"
  local IS_IN = sql([[SELECT id FROM payment_transactions WHERE tenant_id = ? AND id = ?
    AND status IN (SELECT value FROM {texts ?})]])
  local FIND = "SELECT " .. COLUMNS .. " FROM payment_transactions WHERE tenant_id = ? AND "
  local GET = sql(FIND .. "id = ?")
  local BY_INTENT = sql(FIND .. "stripe_payment_intent_id = ?")
  local OF_ORDER = sql(FIND .. "order_id = ? ORDER BY payment_transactions.created_at, id")
  local PENDING = sql(FIND .. "status = 'pending' ORDER BY payment_transactions.created_at, id LIMIT ?")
  -- The position is a row, so that the times compare as finely as they are stored.
  local PENDING_AFTER = sql(FIND .. [[status = 'pending' AND (payment_transactions.created_at, id) >
    (SELECT p.created_at, p.id FROM payment_transactions p WHERE p.tenant_id = ? AND p.id = ?)
    ORDER BY payment_transactions.created_at, id LIMIT ?]])
  local REFUNDABLE = sql([[SELECT id FROM payment_transactions p WHERE tenant_id = ? AND id = ? AND currency = ?
    AND status IN ('succeeded', 'partially_refunded', 'refunded') AND {money p.amount | p.currency} >=
    {money ? | p.currency} + (SELECT coalesce(sum({money r.amount | r.currency}), 0) FROM payment_refunds r
    WHERE r.tenant_id = p.tenant_id AND r.payment_id = p.id)]])
  local REFUND_ADD = sql([[INSERT INTO payment_refunds (id, tenant_id, payment_id, stripe_refund_id, amount, currency,
    reason, created_at) SELECT {uuid ?}, tenant_id, id, ?, {decimal ?}, currency, {text ?}, {now}
    FROM payment_transactions WHERE tenant_id = ? AND id = ? RETURNING ]] .. REFUND_COLUMNS)
  local CURRENCY = sql "SELECT currency FROM payment_transactions WHERE tenant_id = ? AND id = ?"
  local REFUNDS = sql("SELECT " .. REFUND_COLUMNS .. [[ FROM payment_refunds WHERE tenant_id = ? AND payment_id = ?
    ORDER BY payment_refunds.created_at, id]])

  local steps, reads = {}, {}

  local function insert(tenant, clean)
    return { ADD, { clean.id or ident.uuid(), tenant, clean.orderId, clean.intentId,
      amount.text(clean.amount, clean.currency), clean.currency, clean.status or "pending" },
      expect = 1, into = "payment_transactions" }
  end

  function steps.tenant_put(tenant, values)
    local clean, text, name = fields.clean({ slug = "text?", name = "text?" }, values)
    if not clean then return nil, text, name end
    return unit.always({ { TENANT, { tenant, clean.slug, clean.name, n = 3 }, into = "tenants" } }, true)
  end

  function steps.payment_add(tenant, payment)
    local clean, text, name = fields.clean(PAYMENT, payment)
    if not clean then return nil, text, name end
    return unit.last({ { ENSURE, { tenant } }, insert(tenant, clean) }, payment_of)
  end

  function steps.payment_set(tenant, id, change)
    local clean, text, name = fields.clean(CHANGE, change)
    if not clean then return nil, text, name end
    id, text, name = fields.one("uuid", "the payment's id", id)
    if not id then return nil, text, name end
    local list = { unit.one(IS, { tenant, id }, "there is no such payment", "not_found") }
    if clean.from then
      list[2] = unit.one(IS_IN, { tenant, id, clean.from }, "the payment is in another state")
    end
    list[#list + 1] = { SET, { clean.status, clean.failureReason, tenant, id, n = 4 }, expect = 1 }
    return unit.last(list, payment_of)
  end

  function steps.payment_process(tenant, payment)
    local clean, text, name = fields.clean(PAYMENT, payment)
    if not clean then return nil, text, name end
    clean.status = "pending"
    local list = { { ENSURE, { tenant } }, insert(tenant, clean), { OF_ORDER, { tenant, clean.orderId } } }
    function list.result(rows) return each(payment_of)(rows[3]) end
    return list
  end

  -- What the amount's digits are, the payment's currency says. Nobody changes that, so that it may be read before.
  local function currency_of(tenant, clean, engine)
    if clean.currency then return clean.currency end
    local rows, text, name = engine.read(tenant, { CURRENCY, { tenant, clean.paymentId } })
    if not rows then return nil, text, name end
    if not rows[1] then return nil, "there is no such payment", "not_found" end
    return rows[1].currency
  end

  function steps.refund_add(tenant, refund, _, engine)
    local clean, text, name = fields.clean(REFUND, refund)
    if not clean then return nil, text, name end
    local currency
    currency, text, name = currency_of(tenant, clean, engine)
    if not currency then return nil, text, name end
    local decimal_text = amount.text(clean.amount, currency)
    return unit.last({
      unit.one(IS, { tenant, clean.paymentId }, "there is no such payment", "not_found"),
      unit.one(REFUNDABLE, { tenant, clean.paymentId, currency, decimal_text },
        "the payment has not succeeded, or all its refunds together would be more than it"),
      { REFUND_ADD, { clean.id or ident.uuid(), clean.refundId, decimal_text, clean.reason, tenant, clean.paymentId,
        n = 6 }, expect = 1, into = "payment_refunds" },
    }, refund_of)
  end

  function reads.payment_get(tenant, id)
    local clean, text, name = fields.one("uuid", "the payment's id", id)
    if not clean then return nil, text, name end
    return { GET, { tenant, clean } }, function(rows) return payment_of(rows[1]) end
  end

  function reads.payment_by_intent(tenant, intent)
    local clean, text, name = fields.one("text", "the intent's id", intent)
    if not clean then return nil, text, name end
    return { BY_INTENT, { tenant, clean } }, function(rows) return payment_of(rows[1]) end
  end

  function reads.payments_of_order(tenant, order)
    local clean, text, name = fields.one("uuid", "the order's id", order)
    if not clean then return nil, text, name end
    return { OF_ORDER, { tenant, clean } }, each(payment_of)
  end

  function reads.refunds_of(tenant, payment)
    local clean, text, name = fields.one("uuid", "the payment's id", payment)
    if not clean then return nil, text, name end
    return { REFUNDS, { tenant, clean } }, each(refund_of)
  end

  function reads.payments_pending(tenant, options)
    local limit, text, name = fields.limit(options.limit, LIMIT, LIMIT_MOST)
    if not limit then return nil, text, name end
    local statement = { PENDING, { tenant, limit } }
    if options.after then
      local after
      after, text, name = fields.one("uuid", "the position", options.after)
      if not after then return nil, text, name end
      statement = { PENDING_AFTER, { tenant, tenant, after, limit } }
    end
    return statement, function(rows)
      local list = each(payment_of)(rows)
      return list, #list == limit and list[limit].id or nil
    end
  end

  return { steps = steps, reads = reads }
end
