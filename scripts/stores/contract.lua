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
  -- options: stale = true when a value that a replica holds, a little older, will do
  get = { "tenant, key, options", "text or nil", {} },
  set = { "tenant, key, text, ttl_s", "true", { "invalid" } },
  -- true when the key was free, and is now taken
  add = { "tenant, key, text, ttl_s", "boolean", { "invalid" } },
  delete = { "tenant, key", "true", {} },
  -- a counter that only grows; 0 before its first bump
  generation = { "tenant, name", "number", {} },
  bump = { "tenant, name", "number", {} },
  cart_load = { "tenant, session", "{ version, fields = { name = text } } or nil", {} },
  -- version 0 saves a new cart. A version never comes back, not even after the cart was deleted.
  cart_save = { "tenant, session, { version, set = { name = text }, unset = { name, … }, ttl_s }", "version",
    { "precondition_failed", "invalid" } },
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
