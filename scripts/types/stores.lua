---@meta
-- stores.lua: the roles behind `require "stores"`. Absent is a plain nil; a failure is nil, a sentence and a name.

---A value to equal, or { gte, lte, gt, lt, ["in"] = { any of }, contains }.
---@alias Filter table<string, string|number|boolean|Decimal|table<string, any>>

---@class FindOptions
---@field filter Filter?
---@field sort { [1]: string, [2]: "asc"|"desc" }[]? the id is always the last tie-break
---@field limit integer?
---@field skip integer?
---@field after any[]? the position that the last call returned
---@field fields string[]?

---@class Change
---@field set table<string, any>?
---@field unset string[]?
---@field inc table<string, integer>?
---@field guard Filter? the change happens only when the document meets it

---@class Documents
local documents = {}
---@return table? doc, string? why, string? name
function documents.insert(tenant, collection, doc) end
---@return { ok: boolean, id: string?, error: string?, detail: string? }[]
function documents.insert_many(tenant, collection, docs) end
---@return table? doc, string? why, string? name
function documents.get(tenant, collection, id) end
---@param options FindOptions
---@return table[]? docs, any[]|string|nil position, string? name
function documents.find(tenant, collection, options) end
---@return integer?
function documents.count(tenant, collection, filter) end
---@return table? doc, string? why, string? name
function documents.replace(tenant, collection, id, doc, options) end
---@param change Change
---@return table? doc, string? why, string? name
function documents.update(tenant, collection, id, change) end
---@return true?, string? why, string? name
function documents.delete(tenant, collection, id, options) end
---@return integer?
function documents.delete_all(tenant, collection) end

---@class CartStep core/cart_step.h says it in full
local step = {}
---@return integer
function step:version() end
---@return string[]
function step:ids() end
---@return { version: integer, id: string?, items: table[], codes: string[], address: table?, option: string? }
function step:cart() end
---@param order { slug: string, products: table<string, table|false>, explain: boolean? }
---@return { cart: table, quote: Quote, lines: string[] }?, string? why, string? name
function step:show(order) end
---@param order { slug: string, products: table<string, table|false>, change: table, ttl_s: number, once: boolean? }
---@return table? result, string? why, string? name
function step:change(order) end

---@class Cache
local cache = {}
---@param options { stale: boolean }? stale: a replica's value will do
---@return string?
function cache.get(tenant, key, options) end
function cache.set(tenant, key, text, ttl_s) end
---@return boolean taken
function cache.add(tenant, key, text, ttl_s) end
---@return boolean kept
function cache.set_newer(tenant, key, version, text, ttl_s) end
function cache.delete(tenant, key) end
---@return integer
function cache.generation(tenant, name) end
---@return integer
function cache.bump(tenant, name) end
---@return { version: integer, fields: table<string, string> }?
function cache.cart_load(tenant, session) end
---@return integer? version, string? why, string? name
function cache.cart_save(tenant, session, change) end
---@return CartStep?
function cache.cart_step(tenant, session) end
---@return true?, string? why, string? name
function cache.cart_delete(tenant, session, options) end
---@return string?
function cache.session_get(tenant, id) end
function cache.session_set(tenant, id, text, ttl_s) end
function cache.session_delete(tenant, id) end
---@return { token: string, fence: integer }? lock nil when another one has it
function cache.lock(tenant, name, ttl_s) end
---@return boolean mine
function cache.renew(tenant, name, token, ttl_s) end
---@return boolean mine
function cache.unlock(tenant, name, token) end
---@param options { limit: integer, window_s: number, burst: integer? }
---@return { allowed: boolean, limit: integer, remaining: integer, reset_s: integer, retry_s: integer }?
function cache.take(tenant, route, options) end
function cache.publish(tenant, channel, text) end

---Called, it waits for the next text; false where some may have been missed.
---@class Subscription
---@overload fun(): string|false|nil
local subscription = {}
---@return string|false|nil text, string? why, string? name
function subscription:next(ms) end
function subscription:close() end

---@return Subscription?
function cache.subscribe(tenant, channel) end

---@class Message
---@field entry string|integer
---@field id string
---@field tenant string
---@field payload string
---@field tries integer
---@field why string? of a dead letter

---@return string? id
function cache.queue_push(tenant, queue, payload, options) end
---@param options { count: integer?, wait_ms: integer?, claim_ms: integer?, tries: integer? }?
---@return Message[]?
function cache.queue_take(queue, consumer, options) end
---@param message Message
function cache.queue_ack(queue, message) end
---@param message Message
---@param options { claim_ms: integer, delay_ms: integer }
function cache.queue_release(queue, consumer, message, options) end
---@param message Message
---@param why string
function cache.queue_bury(queue, message, why) end
---@return Message[]?
function cache.queue_dead(queue, options) end
---@return integer?
function cache.sweep() end

---@class Search
local search = {}
function search.put(tenant, product) end
function search.put_many(tenant, products) end
function search.remove(tenant, id) end
function search.clear(tenant) end
---@return { items: { id: string, score: number }[], total: integer, facets: table? }?
function search.query(tenant, wanted) end
---@return string[]?
function search.suggest(tenant, text, size) end

---@class Payment
---@field id string
---@field orderId string
---@field intentId string the payment provider's
---@field amount integer minor units
---@field currency string
---@field status string
---@field failureReason string?
---@field createdAt integer
---@field updatedAt integer

---@class Refund
---@field id string
---@field paymentId string
---@field refundId string the payment provider's
---@field amount integer
---@field currency string
---@field reason string?
---@field createdAt integer

---@class StoredAnswer
---@field status integer
---@field headers table<string, string>
---@field body string any bytes

---@class Checkout
---@field id string
---@field tenant string
---@field caller string
---@field route string
---@field key string
---@field hash string
---@field orderId string
---@field orderNumber string
---@field reservation string
---@field state "claimed"|"frozen"|"reserved"|"charging"|"awaiting_action"|"paid"|"done"|"failed"|"released"
---@field epoch integer
---@field quote table?
---@field data table?
---@field answer StoredAnswer?
---@field createdAt integer
---@field updatedAt integer

---@class OutboxEntry
---@field entry integer
---@field id string how a consumer knows what it has done already
---@field tenant string
---@field key string
---@field kind string
---@field payload table
---@field tries integer
---@field createdAt integer

---What is marked [step] may also be a step of `apply`: { "payment_add", { … } }. `written` = { session }.
---@class Ledger
local ledger = {}
---@param steps any[][] { function, argument … } each
---@return any[]? results, string? why, string? name
function ledger.apply(tenant, steps, written) end
---[step]
function ledger.tenant_put(tenant, values) end
---[step]
---@return Payment?, string? why, string? name
function ledger.payment_add(tenant, payment, written) end
---[step]
---@param change { status: string, failureReason: string?, from: string|string[]|nil }
---@return Payment?, string? why, string? name
function ledger.payment_set(tenant, id, change, written) end
---@return Payment[]?, string? why, string? name
function ledger.payment_process(tenant, payment, written) end
---@param options { stale: boolean?, session: string? }?
---@return Payment?
function ledger.payment_get(tenant, id, options) end
---@return Payment?
function ledger.payment_by_intent(tenant, intent, options) end
---@return Payment[]?
function ledger.payments_of_order(tenant, order, options) end
---@param options { limit: integer?, after: string?, stale: boolean?, session: string? }?
---@return Payment[]? payments, string? position
function ledger.payments_pending(tenant, options) end
---[step]
---@param refund { id: string?, paymentId: string, refundId: string, amount: integer, reason: string? }
---@return Refund?, string? why, string? name
function ledger.refund_add(tenant, refund, written) end
---@return Refund[]?
function ledger.refunds_of(tenant, payment, options) end

---@class KeyClaim
---@field state "new"|"running"|"done"|"other"
---@field epoch integer? of a new one
---@field retry_ms integer? of a running one
---@field answer StoredAnswer? of one that is done

---@return KeyClaim?, string? why, string? name
function ledger.key_claim(tenant, claim) end
---[step]
function ledger.key_finish(tenant, claim, answer) end
---[step]
function ledger.key_release(tenant, claim) end
function ledger.key_renew(tenant, claim, lease_ms) end

---@return { state: "new"|"running"|"done"|"other", checkout: Checkout?, retry_ms: integer? }?
function ledger.checkout_claim(tenant, claim) end
---[step]
---@return Checkout?, string? why, string? name
function ledger.checkout_advance(tenant, id, change) end
function ledger.checkout_renew(tenant, id, lease) end
---@return Checkout?, string? why, string? name
function ledger.checkout_resume(tenant, id, lease) end
---@return Checkout?
function ledger.checkout_get(tenant, id, options) end
---@return Checkout?
function ledger.checkout_of_order(tenant, order, options) end
---@return Checkout[]?
function ledger.checkout_take(options) end

---[step]
---@return string? id
function ledger.outbox_add(tenant, entry) end
---@return OutboxEntry[]?
function ledger.outbox_take(worker, options) end
---@return integer?
function ledger.outbox_done(worker, entries) end
function ledger.outbox_retry(worker, entry, options) end
---@return Subscription?
function ledger.outbox_watch() end
---@return boolean?
function ledger.outbox_announce() end
---@return { count: integer, oldest: integer? }?
function ledger.outbox_size() end

---[step]
---@return string? id
function ledger.audit_add(tenant, record) end
---@return table[]? records, integer? position
function ledger.audit_find(tenant, options) end
---[step]
---@return string? id
function ledger.event_add(tenant, order, event) end
---@return table[]?
function ledger.events_of(tenant, order, options) end
---@return integer?
function ledger.sweep() end

---@class Stores
---@field documents Documents
---@field cache Cache
---@field search Search
---@field ledger Ledger
