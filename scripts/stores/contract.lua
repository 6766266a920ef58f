-- contract.lua: states what every engine of a role must offer, and checks that a store has it all.
--
-- Every function takes the tenant's id first ("*" only for the collection `tenants` and for what is the platform's) and
-- may wait. Queues are the platform's: a message names its tenant. What is absent is a
-- plain nil. A failure is nil, a sentence, and a name; those listed are the ones a caller must expect, beside
-- `unavailable`, `timeout`, `busy`, `cancelled` and `closed`, which any call may meet.
local contract = {}

-- name = { arguments, results, errors }
contract.documents = {
  insert = { "tenant, collection, doc", "doc", { "conflict", "invalid" } },
  -- one transaction; { ok = true, id } or { ok = false, error, detail } for each document, in order
  insert_many = { "tenant, collection, docs", "outcomes", { "invalid" } },
  get = { "tenant, collection, id", "doc or nil", { "invalid" } },
  -- options: filter, sort = { { field, "asc" or "desc" }, … }, limit (100, at most 10000), skip, after, fields.
  -- The id is the last sort key, in the direction of the key before it. What has no value sorts before what has.
  find = { "tenant, collection, options", "docs, position or nil", { "invalid" } },
  count = { "tenant, collection, filter", "number", { "invalid" } },
  replace = { "tenant, collection, id, doc, { version }", "doc",
    { "not_found", "precondition_failed", "conflict", "invalid" } },
  -- change: set = { field = value }, unset = { field, … }, inc = { field = whole number }, guard = filter
  update = { "tenant, collection, id, change", "doc",
    { "not_found", "precondition_failed", "conflict", "invalid" } },
  delete = { "tenant, collection, id, { version }", "true", { "not_found", "precondition_failed", "invalid" } },
  delete_all = { "tenant, collection", "number", { "invalid" } },
}

contract.cache = {
  -- options: stale = true when a value that a replica holds, a little older, will do; wait_ms when an answer after so
  -- long is of no use (an engine may take longer, and the write may happen)
  get = { "tenant, key, options", "text or nil", {} },
  set = { "tenant, key, text, ttl_s, { wait_ms }", "true", { "invalid" } },
  -- true when the key was free, and is now taken
  add = { "tenant, key, text, ttl_s", "boolean", { "invalid" } },
  -- Kept as "VERSION TEXT", unless what is there has this version or a higher one: then false. Whole numbers.
  set_newer = { "tenant, key, version, text, ttl_s", "boolean", { "invalid" } },
  delete = { "tenant, key", "true", {} },
  -- a counter that only grows; 0 before its first bump
  generation = { "tenant, name, { wait_ms }", "number", {} },
  bump = { "tenant, name", "number", {} },
  cart_load = { "tenant, session", "{ version, fields = { name = text } } or nil", {} },
  -- version 0 saves a new cart. A version never comes back, not even after the cart was deleted.
  cart_save = { "tenant, session, { version, set = { name = text }, unset = { name, … }, ttl_s }", "version",
    { "precondition_failed", "invalid" } },
  -- a cart read, to be shown priced or changed in one step: core/cart_step.h
  cart_step = { "tenant, session", "step", {} },
  -- true also when there was no cart, unless a version was asked for
  cart_delete = { "tenant, session, { version }", "true", { "precondition_failed" } },
  session_get = { "tenant, id", "text or nil", {} },
  -- ttl_s: 30 days unless given
  session_set = { "tenant, id, text, ttl_s", "true", { "invalid" } },
  session_delete = { "tenant, id", "true", {} },
  -- Who gets the lock owns it until ttl_s have passed or it is given back; nil when another one has it. `fence` is
  -- higher than that of every owner before: whatever the lock protects refuses lower ones, so that an owner who was
  -- late spoils nothing. Tenant "*" is the platform.
  lock = { "tenant, name, ttl_s", "{ token, fence } or nil", { "invalid" } },
  -- false when it is not the token's any more
  renew = { "tenant, name, token, ttl_s", "boolean", { "invalid" } },
  unlock = { "tenant, name, token", "boolean", {} },
  -- A token bucket: limit requests in window_s seconds, of which burst may come at once. Counts this one, when allowed.
  take = { "tenant, route, { limit, window_s, burst }", "{ allowed, limit, remaining, reset_s, retry_s }",
    { "invalid" } },
  publish = { "tenant, channel, text", "true", {} },
  -- An iterator: for text in subscription do. It waits; `next(ms)` waits for so long (then nil, text, "timeout"), and
  -- `close()` ends it. It yields false where texts may have been missed, and beside it whether it is live now: when it
  -- has become so, the first time too, and when it was lost. Whatever was learnt by messages counts as changed then.
  subscribe = { "tenant, channel", "subscription", {} },
  -- At least once: what is pushed is given out until it is acknowledged. `id` (a new one, unless given) is how a
  -- consumer knows what it has done already.
  queue_push = { "tenant, queue, payload, { id }", "id", { "busy" } },
  -- Up to count (10) of what waits, or was given out and left for claim_ms (60000); waits up to wait_ms (0) for it.
  -- What was given out more than `tries` (5) times goes to the dead letters.
  queue_take = { "queue, consumer, { count, wait_ms, claim_ms, tries }",
    "list of { entry, id, tenant, payload, tries }", {} },
  queue_ack = { "queue, message", "true", {} },
  -- Gives it back as if it had not been given out: due again in delay_ms (at most claim_ms), for who takes with this
  -- claim_ms.
  queue_release = { "queue, consumer, message, { claim_ms, delay_ms }", "true", {} },
  -- to the dead letters, now
  queue_bury = { "queue, message, why", "true", {} },
  queue_dead = { "queue, { count }", "list of { entry, id, tenant, payload, tries, why }", {} },
  -- deletes what has expired; nobody sees it before that either
  sweep = { "", "number", {} },
}

contract.search = {
  put = { "tenant, product", "true", { "invalid" } },
  put_many = { "tenant, products", "true", { "invalid" } },
  remove = { "tenant, id", "true", {} },
  clear = { "tenant", "true", {} },
  -- wanted: q, filters = { category = { any of }, status, minPrice, maxPrice (minor units),
  -- attributes = { NAME = { any of } } }, sort = { "price", "name" or "createdAt", "asc" or "desc" },
  -- size (20, at most 1000), skip, facets, priceRanges = { bounds in minor units }. A facet counts as if its own filter
  -- were not set, so that more than one value can be chosen. It has 20 values, the most frequent and always the chosen.
  query = { "tenant, wanted",
    "{ items = { { id, score } }, total, facets = { categories, priceRanges, attributes } or nil }", { "invalid" } },
  suggest = { "tenant, q, size", "texts", {} },
}

-- Money and what must not be forgotten. Amounts are whole numbers of the minor unit, up to 10^14, and their currency.
-- Times are milliseconds since 1970. `data`, `quote`, `before`, `after` and `payload` are tables, kept as JSON text to
-- the digit. An answer is { status, headers = { name = text }, body = any bytes }. What is marked [step] may also be a
-- step of `apply`, without the tenant: { "payment_add", { … } }. Writes take { session } as their last argument: stale
-- reads of that session see what it has written.
contract.ledger = {
  -- All steps or none, in one transaction, in order. The sentence of a failure begins with "step N (name): ".
  apply = { "tenant, { { function, argument … }, … }, { session }", "list of the steps' results",
    { "conflict", "not_found", "precondition_failed", "invalid" } },
  -- [step] The row that payments refer to; what is given replaces what was known. Payments see to it themselves.
  tenant_put = { "tenant, { slug, name }", "true", { "conflict", "invalid" } },

  -- A payment is { id, orderId, intentId, amount, currency, status, failureReason, createdAt, updatedAt }.
  -- [step] An intent has one payment: conflict. status: "pending" unless given
  payment_add = { "tenant, { id, orderId, intentId, amount, currency, status }, { session }", "payment",
    { "conflict", "invalid" } },
  -- [step] from: the status that it must have now, or a list of them; any unless given
  payment_set = { "tenant, id, { status, failureReason, from }, { session }", "payment",
    { "not_found", "precondition_failed", "invalid" } },
  -- Adds a pending payment and reads the order's payments back, in one transaction; the new one is the last.
  payment_process = { "tenant, { orderId, intentId, amount, currency }, { session }", "payments",
    { "conflict", "invalid" } },
  -- Reads' options: stale = true when a replica's answer will do, session = who must see what it has written itself
  payment_get = { "tenant, id, { stale, session }", "payment or nil", { "invalid" } },
  payment_by_intent = { "tenant, intentId, { stale, session }", "payment or nil", {} },
  -- the oldest first
  payments_of_order = { "tenant, orderId, { stale, session }", "payments", { "invalid" } },
  -- the oldest first; after: the position that the call before returned; limit: 100, at most 1000
  payments_pending = { "tenant, { limit, after, stale, session }", "payments, position or nil", { "invalid" } },

  -- A refund is { id, paymentId, refundId, amount, currency, reason, createdAt }.
  -- [step] precondition_failed when all refunds together would be more than the payment, or it has not succeeded;
  -- conflict when the provider's refundId is known already
  refund_add = { "tenant, { id, paymentId, refundId, amount, reason }, { session }", "refund",
    { "not_found", "conflict", "precondition_failed", "invalid" } },
  refunds_of = { "tenant, paymentId, { stale, session }", "refunds", { "invalid" } },

  -- One of all who claim a key at once gets state "new" and works until it finishes or releases, or its lease runs out;
  -- whoever comes then gets "new" with a higher epoch, and the late one's writes are refused. The claim itself is what
  -- key_finish and the others take. "running": ask again in retry_ms. "done": the stored answer. "other": the key was
  -- used with another hash. After ttl_s (86400) a key is as new.
  key_claim = { "tenant, { caller, route, key, hash, lease_ms, ttl_s }",
    "{ state = 'new', epoch, … } or { state = 'running', retry_ms } or { state = 'done', answer } or "
      .. "{ state = 'other' }", { "invalid" } },
  -- [step] precondition_failed when the claim is not the last one, or is over
  key_finish = { "tenant, claim, answer", "true", { "precondition_failed", "invalid" } },
  -- [step] The key is as new.
  key_release = { "tenant, claim", "true", { "precondition_failed" } },
  key_renew = { "tenant, claim, lease_ms", "true", { "precondition_failed", "invalid" } },

  -- A checkout is { id, tenant, caller, route, key, hash, orderId, orderNumber, reservation, state, epoch, quote, data,
  -- answer, createdAt, updatedAt }, and stays for good when it has a payment or an order. Its states: claimed, frozen,
  -- reserved, charging, awaiting_action, paid; and those in which it has ended: done, failed, and released, in which
  -- its key is as new. "new" is also one that another has left, or that awaits the shopper's action: go on from
  -- checkout.state. orderId, orderNumber and reservation are those of the first claim.
  checkout_claim = { "tenant, { caller, route, key, hash, lease_ms, orderId, orderNumber, reservation }",
    "{ state = 'new' or 'done', checkout } or { state = 'running', retry_ms, checkout } or "
      .. "{ state = 'other' }",
    { "conflict", "invalid" } },
  -- [step] epoch: the claim's; from: the state that it must be in, or a list. quote, data, answer: kept unless given.
  -- lease_ms: kept unless given; false ends it: nobody takes it over but the same key's next claim. An awaiting_action
  -- is taken over by checkout_take only when its lease has run out, by a claim or a resume at any time.
  checkout_advance = { "tenant, id, { epoch, from, state, quote, data, answer, lease_ms }", "checkout",
    { "precondition_failed", "invalid" } },
  checkout_renew = { "tenant, id, { epoch, lease_ms }", "true", { "precondition_failed", "invalid" } },
  -- Takes this one over, if nobody works on it and it has not ended: what a webhook does.
  checkout_resume = { "tenant, id, { lease_ms }", "checkout", { "not_found", "precondition_failed", "invalid" } },
  checkout_get = { "tenant, id, { stale, session }", "checkout or nil", { "invalid" } },
  checkout_of_order = { "tenant, orderId, { stale, session }", "checkout or nil", { "invalid" } },
  -- The platform's: takes over those that have not ended and whose lease has run out, the longest ago first. Each goes
  -- to one taker, with a higher epoch. limit: 10
  checkout_take = { "{ limit, lease_ms }", "checkouts", { "invalid" } },

  -- [step] id: a new one unless given; it is how a consumer knows what it has done already. Entries of one key of one
  -- tenant leave in the order in which their transactions ended.
  outbox_add = { "tenant, { key, kind, payload, id }", "id", { "conflict", "invalid" } },
  -- The platform's. An entry is { entry, id, tenant, key, kind, payload, tries, createdAt }. While a worker has entries
  -- of a key, nobody else gets any of that key, until they are done, put off, or its lease has run out. limit: 10.
  -- tries: which try this one is; what was given out behind an entry that failed was not tried.
  outbox_take = { "worker, { limit, lease_ms }", "entries, in order for each key", { "invalid" } },
  -- how many of them were still the worker's, and are gone now
  outbox_done = { "worker, entries", "number", {} },
  -- Puts the entry, and with it its key, off for delay_ms: the worker must leave what it has of that key after it.
  outbox_retry = { "worker, entry, { delay_ms, why }", "true", { "precondition_failed", "invalid" } },
  -- An iterator, as cache.subscribe's: yields true when something was added, false where that may have been
  -- missed.
  outbox_watch = { "", "subscription", {} },
  -- Tells the other processes what this one has added, some milliseconds' worth at once; waits for it up to a second.
  outbox_announce = { "", "boolean", {} },
  -- how many wait, and since when the oldest does
  outbox_size = { "", "{ count, oldest }", {} },

  -- [step] Only ever added to: the database itself refuses to change or delete one.
  audit_add = { "tenant, { id, actor, action, subject, before, after, requestId }", "id", { "conflict", "invalid" } },
  -- A record is { id, at, actor, action, subject, before, after, requestId }; the oldest first, from <= at < to. Who
  -- goes on after the position of a page misses none: it waits for the transactions that are adding records.
  audit_find = { "tenant, { from, to, limit, after }", "records, position or nil", { "invalid" } },

  -- [step]
  event_add = { "tenant, orderId, { id, kind, data }", "id", { "conflict", "invalid" } },
  -- { id, kind, data, at }, in order
  events_of = { "tenant, orderId, { stale, session }", "events", { "invalid" } },

  -- Deletes keys an hour after they have expired, and checkouts without a payment that ended or were left 30 days ago:
  -- their keys are as new. How many went; the platform's.
  sweep = { "", "number", {} },
}

-- Returns the store, or raises: an engine with a hole in it must not start.
function contract.check(role, store)
  local missing = {}
  for name in pairs(contract[role]) do
    if type(store[name]) ~= "function" then missing[#missing + 1] = name end
  end
  table.sort(missing)
  if #missing > 0 then error(("the %s engine lacks %s"):format(role, table.concat(missing, ", ")), 2) end
  return store
end

return contract
