---@meta
-- effects.lua: what makes effects happen once: lib.idempotent, shop.outbox, shop.audit, detach.

---@class Claim the hold on an Idempotency-Key; an argument of the ledger's key_ functions
---@field epoch integer

---@class Idempotent
local idempotent = {}
---@param routes table<string, Handler|Route>
---@return table<string, Handler|Route> routes
function idempotent.protect(routes) end
---@param req Request
---@param steps any[][] steps of stores.ledger.apply
---@param made Answer the answer that the handler returns then
---@return any[]? results, string? why, string? name
function idempotent.apply(req, steps, made, options) end

---@class Entry
---@field id string the same each time it is sent
---@field tenant string
---@field key string
---@field kind string
---@field payload table
---@field tries integer

---@class Outbox
local outbox = {}
---@param sends table<string, fun(entry: Entry)>
function outbox.register(sends) end

---@class AuditRecord
---@field id string? a new one unless given; a second one of the same id is a conflict
---@field actor string
---@field action string
---@field subject string
---@field before table?
---@field after table?
---@field requestId string?

---@class AuditLog
local audit = {}
---@param req Request
---@return { actor: string, requestId: string }
function audit.by(req) end
---@param records AuditRecord[]
---@return true? done, string? why, string? name
function audit.write(tenant_id, records) end
