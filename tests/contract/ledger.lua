-- ledger.lua: what every engine of the ledger role must do.
local tests = {}

local LEASE, SHORT = 600000, 1

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- run(i) n times at once; the lists of its results.
local function at_once(n, run)
  local calls = {}
  for i = 1, n do calls[i] = function() return run(i) end end
  local results = wait_all(calls)
  for i, result in ipairs(results) do
    if not result.ok then error(result.traceback, 2) end
    results[i] = { result[1], result[2], result[3] }
  end
  return results
end

local function payment(t, change)
  local fields = { orderId = t.uuid(), intentId = "pi_" .. t.uuid(), amount = 7038, currency = "USD" }
  for name, value in pairs(change or {}) do fields[name] = value end
  return fields
end

local function claim(t, change)
  local fields = { caller = "user:1", route = "POST /api/x", key = t.uuid(), hash = "h1", lease_ms = LEASE }
  for name, value in pairs(change or {}) do fields[name] = value end
  return fields
end

local function checkout(t, change)
  local fields = claim(t, { orderId = t.uuid(), orderNumber = "ORD-" .. t.uuid(), reservation = t.uuid() })
  for name, value in pairs(change or {}) do fields[name] = value end
  return fields
end

-- Statements beside the store, as somebody with the database's password would send them.
local function raw(tenant, text)
  if package.loaded["postgres.native"] then return require("lib.pg").tenant(tenant).exec(text) end
  return require("sqlite").open "ledger":exec(text)
end

test("a payment is added, found and changed", function(t, store)
  local tenant = t.uuid()
  local wanted = payment(t, { id = t.uuid() })
  local added = t.works(store.payment_add(tenant, wanted))
  for name, value in pairs(wanted) do t.equal(added[name], value, name) end
  t.equal({ added.status, added.failureReason }, { "pending" })
  t.ok(added.createdAt > 1.6e12 and added.updatedAt >= added.createdAt, "times in milliseconds")
  t.equal(store.payment_get(tenant, added.id), added)
  t.equal(store.payment_by_intent(tenant, wanted.intentId), added)
  t.equal(store.payments_of_order(tenant, wanted.orderId), { added })
  t.equal(store.payments_of_order(tenant, t.uuid()), {})
  t.equal({ store.payment_get(tenant, t.uuid()) }, {})
  local failed = t.works(store.payment_set(tenant, added.id, { status = "failed", failureReason = "declined é",
    from = "pending" }))
  t.equal({ failed.status, failed.failureReason }, { "failed", "declined é" })
  t.equal(store.payment_get(tenant, added.id), failed)
  local long = t.works(store.payment_set(tenant, added.id, { status = "failed", failureReason = ("é"):rep(400) }))
  t.equal(long.failureReason, ("é"):rep(249), "as much as there is room for")
  t.equal(store.payment_set(tenant, added.id, { status = "failed", failureReason = "a\255b\0" }).failureReason, "a?b ")
end)

test("a payment changes only from the state that was asked for", function(t, store)
  local tenant = t.uuid()
  local added = t.works(store.payment_add(tenant, payment(t)))
  t.fails("precondition_failed", store.payment_set(tenant, added.id, { status = "refunded", from = "succeeded" }))
  t.equal(store.payment_get(tenant, added.id).status, "pending")
  t.works(store.payment_set(tenant, added.id, { status = "succeeded", from = { "pending", "failed" } }))
  t.works(store.payment_set(tenant, added.id, { status = "refunded" }))
  t.fails("not_found", store.payment_set(tenant, t.uuid(), { status = "failed" }))
end)

test("an intent has one payment", function(t, store)
  local tenant, intent = t.uuid(), "pi_" .. t.uuid()
  local won = 0
  for _, result in ipairs(at_once(16, function()
    return store.payment_add(tenant, payment(t, { intentId = intent }))
  end)) do
    if result[1] then won = won + 1 else t.fails("conflict", unpack(result, 1, 3)) end
  end
  t.equal(won, 1)
  t.fails("conflict", store.payment_add(t.uuid(), payment(t, { intentId = intent })))
end)

test("amounts are exact in every currency, up to the largest", function(t, store)
  local tenant, order = t.uuid(), t.uuid()
  local most = 100000000000000
  local amounts = { { 1, "JPY" }, { most, "JPY" }, { 1, "USD" }, { 10, "USD" }, { 2999, "USD" }, { most - 1, "USD" },
    { most, "USD" }, { 0, "EUR" }, { 1, "KWD" }, { 12345678901234, "KWD" }, { most - 1, "KWD" }, { 1, "CLF" },
    { most - 1, "CLF" } }
  for i, pair in ipairs(amounts) do
    local added = t.works(store.payment_add(tenant, payment(t, { orderId = order, amount = pair[1],
      currency = pair[2] })))
    t.equal({ added.amount, added.currency }, pair, "amount " .. i)
    t.equal(store.payment_get(tenant, added.id).amount, pair[1], "amount " .. i)
  end
  t.equal(#store.payments_of_order(tenant, order), #amounts)
end)

test("what is no payment is refused", function(t, store)
  local tenant = t.uuid()
  for _, wrong in ipairs { { amount = 1.5 }, { amount = -1 }, { amount = 10 ^ 14 + 1 }, { amount = "10" },
    { currency = "usd" }, { currency = "XYZ" }, { orderId = "1" }, { intentId = "" }, { intentId = ("x"):rep(256) },
    { intentId = "a\0b" },
    { intentId = "a\255" }, { id = "no" }, { status = "" } } do
    t.fails("invalid", store.payment_add(tenant, payment(t, wrong)))
  end
  t.fails("invalid", store.payment_add(tenant))
  t.fails("invalid", store.payment_add("", payment(t)))
  t.fails("invalid", store.payment_add("*", payment(t)))
  t.fails("invalid", store.payment_add(nil, payment(t)))
  t.fails("invalid", store.payment_get(tenant, "*"))
  t.fails("invalid", store.payments_pending(tenant, { limit = 0 }))
end)

test("tenants do not see each other's payments", function(t, store)
  local one, other = t.uuid(), t.uuid()
  local added = t.works(store.payment_add(one, payment(t)))
  t.works(store.payment_set(one, added.id, { status = "succeeded" }))
  t.equal({ store.payment_get(other, added.id) }, {})
  t.equal({ store.payment_by_intent(other, added.intentId) }, {})
  t.equal(store.payments_of_order(other, added.orderId), {})
  t.equal(store.payments_pending(other, {}), {})
  t.fails("not_found", store.payment_set(other, added.id, { status = "failed" }))
  t.fails("not_found", store.refund_add(other, { paymentId = added.id, refundId = "re_" .. t.uuid(), amount = 1 }))
  t.equal(store.payment_get(one, added.id).status, "succeeded")
end)

test("pending payments come page by page, the oldest first", function(t, store)
  local tenant, ids = t.uuid(), {}
  for i = 1, 7 do
    ids[i] = t.works(store.payment_add(tenant, payment(t))).id
    sleep(2)
  end
  t.works(store.payment_set(tenant, ids[3], { status = "succeeded" }))
  table.remove(ids, 3)
  local seen, after = {}, nil
  for _ = 1, 10 do
    local page, position = store.payments_pending(tenant, { limit = 2, after = after })
    for _, one in ipairs(t.works(page, position)) do seen[#seen + 1] = one.id end
    if not position then break end
    after = position
    -- What was processed meanwhile does not move the others.
    if #seen == 2 then t.works(store.payment_set(tenant, ids[2], { status = "failed" })) end
  end
  t.equal(seen, ids)
end)

test("a payment is processed as pending and read back with its order", function(t, store)
  local tenant, order = t.uuid(), t.uuid()
  t.works(store.payment_add(tenant, payment(t, { orderId = order, status = "failed" })))
  sleep(2)
  local wanted = payment(t, { orderId = order })
  local list = t.works(store.payment_process(tenant, wanted))
  t.equal(t.pluck(list, "status"), { "failed", "pending" })
  t.equal(list[2].intentId, wanted.intentId)
  t.fails("conflict", store.payment_process(tenant, wanted))
end)

test("refunds never exceed their payment, however many are tried at once", function(t, store)
  local tenant, sum, count = t.uuid(), 0, 0
  local paid = t.works(store.payment_add(tenant, payment(t, { amount = 1000, currency = "KWD" })))
  local function refund(amount)
    return store.refund_add(tenant, { paymentId = paid.id, refundId = "re_" .. t.uuid(), amount = amount,
      reason = "damaged" })
  end
  t.fails("precondition_failed", refund(1))
  t.works(store.payment_set(tenant, paid.id, { status = "succeeded" }))
  t.fails("precondition_failed", refund(1001))
  for _, result in ipairs(at_once(32, function() return refund(90) end)) do
    if result[1] then
      sum, count = sum + result[1].amount, count + 1
    else
      t.fails("precondition_failed", unpack(result, 1, 3))
    end
  end
  t.equal({ sum, count }, { 990, 11 })
  t.fails("precondition_failed", refund(11))
  local last = t.works(refund(10))
  t.equal({ last.amount, last.currency, last.reason, last.paymentId }, { 10, "KWD", "damaged", paid.id })
  t.fails("precondition_failed", refund(1))
  t.equal(#store.refunds_of(tenant, paid.id), 12)
  t.equal(store.refunds_of(t.uuid(), paid.id), {})
end)

test("a refund of the provider counts once", function(t, store)
  local tenant, id = t.uuid(), "re_" .. t.uuid()
  local paid = t.works(store.payment_add(tenant, payment(t, { status = "succeeded" })))
  t.works(store.refund_add(tenant, { paymentId = paid.id, refundId = id, amount = 5 }))
  t.fails("conflict", store.refund_add(tenant, { paymentId = paid.id, refundId = id, amount = 5 }))
  t.fails("not_found", store.refund_add(tenant, { paymentId = t.uuid(), refundId = "x", amount = 5 }))
  t.fails("precondition_failed", store.refund_add(tenant, { paymentId = paid.id, refundId = "re_" .. t.uuid(),
    amount = 5, currency = "JPY" }))
  t.fails("invalid", store.refund_add(tenant, { paymentId = paid.id, refundId = "x", amount = 0 }))
end)

test("a key is claimed by exactly one of many", function(t, store)
  local tenant, wanted, mine = t.uuid(), claim(t), nil
  for _, result in ipairs(at_once(64, function() return store.key_claim(tenant, wanted) end)) do
    local verdict = t.works(unpack(result, 1, 3))
    if verdict.state == "new" then
      t.ok(not mine, "one claims it")
      mine = verdict
    else
      t.equal(verdict.state, "running")
      t.ok(verdict.retry_ms > 0 and verdict.retry_ms <= LEASE, "when to come back")
    end
  end
  t.ok(mine, "one claims it")
  wanted.hash = "h2"
  t.equal(store.key_claim(tenant, wanted), { state = "other" })
  wanted.hash = "h1"
  for _, change in ipairs { { caller = "user:2" }, { route = "POST /api/y" } } do
    t.equal(store.key_claim(tenant, claim(t, { key = wanted.key, caller = change.caller, route = change.route })).state,
      "new")
  end
  t.equal(store.key_claim(t.uuid(), wanted).state, "new")
end)

test("a finished key answers the same bytes for good", function(t, store)
  local tenant, wanted = t.uuid(), claim(t)
  local answer = { status = 201, headers = { Location = "/api/x/1" }, body = '{"a": 1.50}\0\255 é' }
  local mine = t.works(store.key_claim(tenant, wanted))
  t.equal(store.key_finish(tenant, mine, answer), true)
  t.equal(store.key_claim(tenant, wanted), { state = "done", answer = answer })
  wanted.hash = "h2"
  t.equal(store.key_claim(tenant, wanted), { state = "other" })
  t.fails("precondition_failed", store.key_finish(tenant, mine, answer))
  t.fails("precondition_failed", store.key_release(tenant, mine))
  local empty, other = { status = 204, headers = {}, body = "" }, claim(t)
  t.works(store.key_finish(tenant, t.works(store.key_claim(tenant, other)), empty))
  t.equal(store.key_claim(tenant, other).answer, empty)
end)

test("a key that was left passes on, and the late one is refused", function(t, store)
  local tenant, wanted = t.uuid(), claim(t, { lease_ms = SHORT })
  local answer = { status = 200, headers = {}, body = "late" }
  local late = t.works(store.key_claim(tenant, wanted))
  wanted.lease_ms = LEASE
  local now = t.until_so("it passes on", function()
    local verdict = store.key_claim(tenant, wanted)
    return verdict.state == "new" and verdict
  end)
  t.ok(now.epoch > late.epoch, "a higher epoch")
  t.fails("precondition_failed", store.key_finish(tenant, late, answer))
  t.fails("precondition_failed", store.key_renew(tenant, late, LEASE))
  t.fails("precondition_failed", store.key_release(tenant, late))
  t.equal(store.key_claim(tenant, wanted).state, "running")
  t.equal(store.key_finish(tenant, now, answer), true)
end)

test("a released key is as new, also for another body", function(t, store)
  local tenant, wanted = t.uuid(), claim(t)
  local first = t.works(store.key_claim(tenant, wanted))
  t.equal(store.key_release(tenant, first), true)
  wanted.hash = "h2"
  local second = t.works(store.key_claim(tenant, wanted))
  t.equal(second.state, "new")
  t.ok(second.epoch > first.epoch, "a higher epoch")
  t.fails("precondition_failed", store.key_finish(tenant, first, { status = 200, headers = {}, body = "" }))
end)

test("a renewed lease holds, and a key expires", function(t, store)
  local tenant, wanted = t.uuid(), claim(t, { lease_ms = 2000 })
  local mine = t.works(store.key_claim(tenant, wanted))
  t.equal(store.key_renew(tenant, mine, LEASE), true)
  t.ok(store.key_claim(tenant, wanted).retry_ms > 10000, "it is held longer")
  local brief = claim(t, { ttl_s = 1 })
  local first = t.works(store.key_claim(tenant, brief))
  t.works(store.key_finish(tenant, first, { status = 200, headers = {}, body = "x" }))
  t.until_so("it expires", function() return store.key_claim(tenant, brief).state == "new" end)
  t.ok(t.works(store.sweep()) >= 0, "a count")
  t.equal(store.key_claim(tenant, brief).state, "running")
end)

test("an expired key is swept an hour later", function(t, store)
  local tenant = t.uuid()
  local function expire(minutes)
    local wanted = claim(t)
    t.works(store.key_claim(tenant, wanted))
    local at = ("%.0f"):format(clock.now_ms() - minutes * 60000)
    if package.loaded["postgres.native"] then at = ("to_timestamp(%s / 1000.0)"):format(at) end
    t.equal(raw(tenant, ("UPDATE idempotency_keys SET expires_at = %s WHERE tenant_id = '%s' AND key = '%s'")
      :format(at, tenant, wanted.key)), 1)
    return function()
      return raw(tenant, ("UPDATE idempotency_keys SET lease_until = lease_until WHERE tenant_id = '%s' AND key = '%s'")
        :format(tenant, wanted.key)) == 1
    end
  end
  local long, brief = expire(61), expire(59)
  t.until_so("it is swept", function()
    t.works(store.sweep())
    return not long()
  end)
  t.ok(brief(), "a late one's epoch is known:")
end)

test("a checkout is claimed by one, and its first ids are kept", function(t, store)
  local tenant, wanted, first = t.uuid(), checkout(t), nil
  for _, result in ipairs(at_once(32, function(i)
    local own = {}
    for name, value in pairs(wanted) do own[name] = value end
    own.orderId, own.orderNumber, own.reservation = t.uuid(), "ORD-" .. i, "r" .. i
    return store.checkout_claim(tenant, own)
  end)) do
    local verdict = t.works(unpack(result, 1, 3))
    if verdict.state == "new" then
      t.ok(not first, "one claims it")
      first = verdict.checkout
    else
      t.ok(verdict.state == "running" and verdict.retry_ms > 0, "the others wait")
    end
  end
  t.equal({ first.state, first.epoch, first.tenant, first.key }, { "claimed", 1, tenant, wanted.key })
  local again = t.works(store.checkout_claim(tenant, wanted))
  t.equal({ again.state, again.checkout.id, again.checkout.orderId, again.checkout.orderNumber },
    { "running", first.id, first.orderId, first.orderNumber })
  wanted.hash = "h2"
  t.equal(store.checkout_claim(tenant, wanted), { state = "other" })
  t.equal(store.checkout_get(tenant, first.id), first)
  t.equal(store.checkout_of_order(tenant, first.orderId), first)
  t.equal({ store.checkout_get(t.uuid(), first.id) }, {})
end)

test("a checkout advances with what is given and keeps the rest", function(t, store)
  local tenant, wanted = t.uuid(), checkout(t)
  local mine = t.works(store.checkout_claim(tenant, wanted)).checkout
  local quote = json.decode '{"total": 29.90, "lines": [], "rate": 1e2, "ctx": {}}'
  local frozen = t.works(store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, from = "claimed",
    state = "frozen", quote = quote, data = { cart = "c" } }))
  t.equal({ frozen.state, frozen.epoch, frozen.data.cart, json.encode(frozen.quote.total) },
    { "frozen", mine.epoch, "c", "29.90" })
  t.fails("precondition_failed", store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, from = "claimed",
    state = "reserved" }))
  t.fails("precondition_failed", store.checkout_advance(tenant, mine.id, { epoch = mine.epoch + 1, state = "paid" }))
  t.fails("precondition_failed", store.checkout_advance(t.uuid(), mine.id, { epoch = mine.epoch, state = "paid" }))
  t.fails("invalid", store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, state = "somewhere" }))
  local answer = { status = 201, headers = { Location = "/o" }, body = "{}\0" }
  local done = t.works(store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, from = { "frozen", "paid" },
    state = "done", answer = answer }))
  t.equal({ done.state, done.answer, done.data.cart }, { "done", answer, "c" })
  local again = t.works(store.checkout_claim(tenant, wanted))
  t.equal({ again.state, again.checkout.answer }, { "done", answer })
  t.fails("precondition_failed", store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, state = "failed" }))
  t.fails("precondition_failed", store.checkout_resume(tenant, mine.id, { lease_ms = LEASE }))
end)

test("a released checkout's key begins a new one", function(t, store)
  local tenant, wanted = t.uuid(), checkout(t)
  local first = t.works(store.checkout_claim(tenant, wanted)).checkout
  t.works(store.checkout_advance(tenant, first.id, { epoch = first.epoch, state = "released" }))
  wanted.hash, wanted.orderId = "h2", t.uuid()
  local second = t.works(store.checkout_claim(tenant, wanted))
  t.equal({ second.state, second.checkout.state, second.checkout.orderId }, { "new", "claimed", wanted.orderId })
  t.ok(second.checkout.id ~= first.id, "another checkout")
  t.equal(store.checkout_get(tenant, first.id).state, "released")
end)

test("a checkout that was left goes to one taker, and the late one is refused", function(t, store)
  local tenant = t.uuid()
  local left = t.works(store.checkout_claim(tenant, checkout(t, { lease_ms = SHORT }))).checkout
  local held = t.works(store.checkout_claim(tenant, checkout(t))).checkout
  local taken
  t.until_so("it is taken over", function()
    for _, result in ipairs(at_once(8, function() return store.checkout_take { limit = 50, lease_ms = LEASE } end)) do
      for _, one in ipairs(t.works(unpack(result, 1, 3))) do
        t.ok(one.id ~= held.id and not (taken and one.id == left.id), "one taker, of what was left only")
        if one.id == left.id then taken = one end
      end
    end
    -- Another run of these tests on the same data may have been the taker.
    return store.checkout_get(tenant, left.id).epoch > left.epoch
  end)
  t.fails("precondition_failed", store.checkout_advance(tenant, left.id, { epoch = left.epoch, state = "frozen" }))
  t.fails("precondition_failed", store.checkout_renew(tenant, left.id, { epoch = left.epoch, lease_ms = LEASE }))
  if not taken then return end
  t.equal({ taken.epoch, taken.state, taken.tenant }, { left.epoch + 1, "claimed", tenant })
  t.equal(store.checkout_renew(tenant, taken.id, { epoch = taken.epoch, lease_ms = LEASE }), true)
  t.equal(t.works(store.checkout_advance(tenant, taken.id, { epoch = taken.epoch, state = "frozen" })).state, "frozen")
end)

test("what awaits the shopper is resumed by one at a time", function(t, store)
  local tenant, wanted = t.uuid(), checkout(t)
  local mine = t.works(store.checkout_claim(tenant, wanted)).checkout
  t.fails("precondition_failed", store.checkout_resume(tenant, mine.id, { lease_ms = LEASE }))
  t.works(store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, state = "awaiting_action", lease_ms = LEASE }))
  local resumed
  for _, result in ipairs(at_once(16, function(i)
    if i % 2 == 0 then return store.checkout_resume(tenant, mine.id, { lease_ms = LEASE }) end
    local verdict, text, name = store.checkout_claim(tenant, wanted)
    t.works(verdict, text, name)
    if verdict.state == "new" then return verdict.checkout end
    t.equal(verdict.state, "running")
    return nil, "somebody else has it", "precondition_failed"
  end)) do
    if result[1] then
      t.ok(not resumed, "one at a time")
      resumed = result[1]
    else
      t.fails("precondition_failed", unpack(result, 1, 3))
    end
  end
  t.equal({ resumed.state, resumed.epoch }, { "awaiting_action", mine.epoch + 1 })
  t.works(store.checkout_advance(tenant, mine.id, { epoch = resumed.epoch, state = "charging", lease_ms = false }))
  local again = t.works(store.checkout_claim(tenant, wanted))
  t.equal({ again.state, again.checkout.state }, { "new", "charging" })
  t.fails("not_found", store.checkout_resume(tenant, t.uuid(), { lease_ms = LEASE }))
end)

-- As if nobody had touched it for so many days: how many there are, 1 or 0.
local function age(tenant, id, days)
  local lease = "lease_until"
  local at = ("%.0f"):format(clock.now_ms() - days * 24 * 3600 * 1000)
  if package.loaded["postgres.native"] then at = ("to_timestamp(%s / 1000.0)"):format(at) end
  return raw(tenant, ("UPDATE checkouts SET updated_at = %s, %s = CASE WHEN %s IS NULL THEN NULL ELSE %s END "
    .. "WHERE tenant_id = '%s' AND id = '%s'"):format(at, lease, lease, at, tenant, id))
end

test("a checkout that came to nothing is swept after a month, and no other", function(t, store)
  local tenant, going, staying = t.uuid(), {}, {}
  local function add(list, days, state, paid)
    local mine = t.works(store.checkout_claim(tenant, checkout(t))).checkout
    if paid then t.works(store.payment_add(tenant, payment(t, { orderId = mine.orderId }))) end
    if state then t.works(store.checkout_advance(tenant, mine.id, { epoch = mine.epoch, state = state })) end
    t.equal(age(tenant, mine.id, days), 1)
    list[#list + 1] = mine.id
  end
  for _, state in ipairs { false, "frozen", "reserved", "failed", "released" } do
    add(going, 31, state)
    add(staying, 29, state)
    add(staying, 31, state, true)
  end
  for _, state in ipairs { "charging", "awaiting_action", "paid", "done" } do add(staying, 400, state) end
  -- Another run of these tests on the same data may have taken one over in between.
  t.until_so("they are swept", function()
    t.works(store.sweep())
    local left = 0
    for _, id in ipairs(going) do left = left + age(tenant, id, 31) end
    return left == 0
  end)
  t.works(store.sweep())
  for i, id in ipairs(staying) do t.ok(store.checkout_get(tenant, id), "checkout " .. i .. " is still there:") end
end)

test("a checkout that somebody works on again is not swept", function(t, store)
  local tenant, wanted = t.uuid(), checkout(t)
  local left = t.works(store.checkout_claim(tenant, wanted)).checkout
  t.equal(age(tenant, left.id, 31), 1)
  -- Another run of these tests may have been faster: it has swept it, and this is a new one, or has taken it over.
  local again = t.works(store.checkout_claim(tenant, wanted))
  t.works(store.sweep())
  t.ok(store.checkout_get(tenant, again.checkout.id), "it is there:")
end)

test("all steps happen, or none", function(t, store)
  local tenant = t.uuid()
  local mine = t.works(store.checkout_claim(tenant, checkout(t))).checkout
  local paid = payment(t, { id = t.uuid(), orderId = mine.orderId })
  local function steps(epoch)
    return {
      { "tenant_put", { slug = "acme", name = "Acme" } },
      { "payment_add", paid },
      { "payment_set", paid.id, { status = "succeeded", from = "pending" } },
      { "outbox_add", { key = mine.orderId, kind = "email", payload = {} } },
      { "audit_add", { actor = "user:1", action = "payment.succeeded", subject = paid.id } },
      { "event_add", mine.orderId, { kind = "paid", data = { n = 1 } } },
      { "checkout_advance", mine.id, { epoch = epoch, from = "claimed", state = "paid" } },
    }
  end
  local text = t.fails("precondition_failed", store.apply(tenant, steps(mine.epoch + 1)))
  t.ok(text:find "^step 7 %(checkout_advance%): ", text)
  t.equal({ store.payment_get(tenant, paid.id) }, {})
  t.equal(store.events_of(tenant, mine.orderId), {})
  t.equal(store.audit_find(tenant, {}), {})
  local results = t.works(store.apply(tenant, steps(mine.epoch)))
  t.equal({ #results, results[1], results[2].status, results[3].status, results[7].state },
    { 7, true, "pending", "succeeded", "paid" })
  t.equal(store.payment_get(tenant, paid.id).status, "succeeded")
  t.equal(t.pluck(store.events_of(tenant, mine.orderId), "kind"), { "paid" })
  t.equal(store.audit_find(tenant, {})[1].id, results[5])
  text = t.fails("conflict", store.apply(tenant, { { "event_add", mine.orderId, { kind = "x" } },
    { "payment_add", payment(t, { intentId = paid.intentId }) } }))
  t.ok(text:find "^step 2 %(payment_add%): ", text)
  t.equal(#store.events_of(tenant, mine.orderId), 1)
  text = t.fails("invalid", store.apply(tenant, { { "payment_drop", {} } }))
  t.ok(text:find "payment_drop", text)
  t.fails("invalid", store.apply(tenant, { { "payment_add", { amount = 1 } } }))
  t.equal(store.apply(tenant, {}), {})
end)

test("one of many wins a state", function(t, store)
  local tenant, won = t.uuid(), 0
  local paid = t.works(store.payment_add(tenant, payment(t)))
  local order = paid.orderId
  for _, result in ipairs(at_once(16, function(i)
    return store.apply(tenant, { { "payment_set", paid.id, { status = "succeeded", from = "pending" } },
      { "event_add", order, { kind = "by " .. i } } })
  end)) do
    if result[1] then won = won + 1 else t.fails("precondition_failed", unpack(result, 1, 3)) end
  end
  t.equal({ won, #store.events_of(tenant, order) }, { 1, 1 })
end)

-- What this test has added; another run's entries of the same test are given back, all others are finished.
local function take_ordered(t, store, worker, tenant)
  local own, others = {}, {}
  for _, taken in ipairs(t.works(store.outbox_take(worker, { limit = 1000, lease_ms = LEASE }))) do
    if taken.tenant == tenant then own[#own + 1] = taken
    elseif taken.kind ~= "ordered" then others[#others + 1] = taken
    else store.outbox_retry(worker, taken, { delay_ms = 0 }) end
  end
  t.works(store.outbox_done(worker, others))
  return own
end

test("entries leave in order for each key, and a key has one worker", function(t, store)
  local tenant, rounds, finished = t.uuid(), 40, 0
  local order, holder = { a = {}, b = {} }, {}
  local function add(key)
    for n = 1, rounds do t.works(store.outbox_add(tenant, { key = key, kind = "ordered", payload = { n = n } })) end
  end
  local function work(name)
    while finished < 2 * rounds do
      local own = take_ordered(t, store, name, tenant)
      for _, taken in ipairs(own) do
        t.ok(not holder[taken.key] or holder[taken.key] == name, "one worker has the key")
        holder[taken.key] = name
      end
      sleep(1)
      for _, taken in ipairs(own) do
        order[taken.key][#order[taken.key] + 1] = taken.payload.n
        holder[taken.key] = nil
      end
      t.equal(t.works(store.outbox_done(name, own)), #own)
      finished = finished + #own
    end
  end
  local calls = { function() add "a" end, function() add "b" end }
  for _ = 1, 4 do calls[#calls + 1] = function() return work("w" .. t.uuid()) end end
  for _, result in ipairs(wait_all(calls)) do t.ok(result.ok, tostring(result[1])) end
  for _, list in pairs(order) do
    t.equal(#list, rounds)
    for n = 1, rounds do t.equal(list[n], n, "entry") end
  end
end)

test("the audit trail is kept in order, and is only added to", function(t, store)
  local tenant, ids = t.uuid(), {}
  for i = 1, 5 do
    ids[i] = t.works(store.audit_add(tenant, { actor = "user:" .. i, action = "price.changed", subject = "p",
      before = { price = decimal.new "1.50" }, after = json.decode '{"price": 2.0}', requestId = "r" }))
    sleep(2)
  end
  local page, position = store.audit_find(tenant, { limit = 3 })
  t.equal(t.pluck(t.works(page, position), "id"), { ids[1], ids[2], ids[3] })
  local first = page[1]
  t.equal({ first.actor, first.action, first.subject, json.encode(first.before), json.encode(first.after),
    first.requestId }, { "user:1", "price.changed", "p", '{"price":1.50}', '{"price":2.0}', "r" })
  local rest, last = store.audit_find(tenant, { limit = 3, after = position })
  t.equal({ t.pluck(rest, "id"), last }, { { ids[4], ids[5] } })
  t.equal(t.pluck(store.audit_find(tenant, { from = page[2].at, to = rest[1].at }), "id"), { ids[2], ids[3] })
  t.equal(store.audit_find(t.uuid(), {}), {})
  t.fails("conflict", store.audit_add(tenant, { id = ids[1], actor = "x", action = "y", subject = "z" }))
end)

-- Begins a record's transaction, runs `during` and commits it; the embedded engine has one writer at a time, so that
-- nothing comes in between there.
local function add_slowly(t, store, tenant, id, during)
  if not package.loaded["postgres.native"] then
    t.equal(store.audit_add(tenant, { id = id, actor = "a", action = "b", subject = "slow" }), id)
    return during()
  end
  t.works(require("lib.pg").tenant(tenant).transaction({ retry = 0 }, function(tx)
    t.works(tx.exec("INSERT INTO audit_log (id, tenant_id, actor, action, subject, at) "
      .. "VALUES ($1, $2, 'a', 'b', 'slow', now())", id, tenant))
    during()
    return true
  end))
end

test("who follows the audit trail loses nothing, however long a record's transaction takes", function(t, store)
  local tenant, slow, seen, position = t.uuid(), t.uuid(), {}, nil
  local quick, began = nil, false
  local function follow()
    repeat
      local page, after = store.audit_find(tenant, { limit = 1, after = position })
      for _, record in ipairs(t.works(page, after)) do seen[#seen + 1] = record.id end
      position = after or position
    until #page == 0
  end
  for _, result in ipairs(wait_all {
    function()
      add_slowly(t, store, tenant, slow, function()
        quick = t.works(store.audit_add(tenant, { actor = "a", action = "b", subject = "quick" }))
        began = true
        sleep(200)
      end)
    end,
    function()
      t.until_so("the later one is there", function() return began end)
      follow()
    end,
  }) do t.ok(result.ok, tostring(result.traceback)) end
  follow()
  t.equal(seen, { slow, quick })
end)

test("the database refuses to change the audit trail", function(t, store)
  local tenant = t.uuid()
  local id = t.works(store.audit_add(tenant, { actor = "a", action = "b", subject = "c" }))
  for _, sql in ipairs { "UPDATE audit_log SET actor = 'x' WHERE id = '%s'",
    "DELETE FROM audit_log WHERE id = '%s'" } do
    local changes, why, name = raw(tenant, sql:format(id))
    t.equal({ changes, name }, { [2] = "invalid" })
    t.ok(why:find "only added to", why)
  end
  t.equal(t.pluck(store.audit_find(tenant, {}), "actor"), { "a" })
end)

test("an order's events are kept in order", function(t, store)
  local tenant, order = t.uuid(), t.uuid()
  for _, kind in ipairs { "created", "paid", "shipped" } do
    t.works(store.event_add(tenant, order, { kind = kind, data = { kind = kind } }))
  end
  local events = t.works(store.events_of(tenant, order))
  t.equal(t.pluck(events, "kind"), { "created", "paid", "shipped" })
  t.ok(events[1].at > 1.6e12 and events[3].data.kind == "shipped", "when and what")
  t.equal(store.events_of(t.uuid(), order), {})
end)

test("a stale read of the session that wrote sees what it wrote", function(t, store)
  local tenant, session = t.uuid(), t.uuid()
  for i = 1, 20 do
    local added = t.works(store.payment_add(tenant, payment(t), { session = session }))
    local options = { stale = true, session = session }
    t.equal(store.payment_get(tenant, added.id, options), added, "the payment " .. i)
    t.equal(#store.payments_pending(tenant, { stale = true, session = session }), i)
  end
end)

return tests
