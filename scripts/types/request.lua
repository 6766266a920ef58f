---@meta
-- request.lua: what a handler gets and what it may return.

---@class Request
---@field method string
---@field path string
---@field route string the template, "/api/products/:id"
---@field params table<string, string>
---@field query table<string, string|string[]> a list when a name is repeated
---@field headers table<string, string> names in lower case
---@field body string
---@field json any the decoded body; raises 400 or 415 when there is none
---@field tenant Tenant
---@field tenant_id string tenant.id, without the document
---@field header fun(self: Request, name: string): string? one header, without a table of them all
---@field session string? of the cookie perigee_session or the header X-Session-ID
---@field session_data any the stored session; on routes with a rate limit or with `session` in main.lua's table
---@field role "owner"|nil what the request's key allows
---@field request_id string
---@field client { address: string, scheme: "http"|"https" }
---@field now_ms integer
---@field deadline integer
---@field idempotency Claim? on a route with `idempotent`, when the request has a key

---@class Tenant
---@field id string
---@field slug string
---@field name string
---@field subdomain string
---@field customDomain string?
---@field settings TenantSettings

---@class TenantSettings
---@field currency string
---@field taxRate string|Decimal|nil
---@field freeShippingThreshold string|Decimal|number|nil
---@field lowStockThreshold integer?
---@field timeZone string?
---@field rateLimits table<string, string>? by "/api/products", "POST /api/products" or "*": "600/60s"

---@class Answer
---@field status integer
---@field headers table<string, string>?
---@field json any
---@field body string?

---A table is 200 and JSON, a text 200 text/plain, nil 204; lib/answer.lua builds everything else.
---@alias Handler fun(req: Request): Answer|table|string|nil

---@class Route
---@field run Handler
---@field role "owner"|nil
---@field body_max integer? bytes
---@field idempotent true|"required"|nil POST only: a repeated Idempotency-Key gets the answer that there was
