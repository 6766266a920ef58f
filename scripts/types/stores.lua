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

---@class Cache
local cache = {}
---@param options { stale: boolean }? stale: a replica's value will do
---@return string?
function cache.get(tenant, key, options) end
function cache.set(tenant, key, text, ttl_s) end
---@return boolean taken
function cache.add(tenant, key, text, ttl_s) end
function cache.delete(tenant, key) end
---@return integer
function cache.generation(tenant, name) end
---@return integer
function cache.bump(tenant, name) end
---@return { version: integer, fields: table<string, string> }?
function cache.cart_load(tenant, session) end
---@return integer? version, string? why, string? name
function cache.cart_save(tenant, session, change) end
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

---@class Stores
---@field documents Documents
---@field cache Cache
---@field search Search
