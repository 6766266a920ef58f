-- main.lua: what the server runs: the routes, the search for a request's tenant, and the work in the background.
local audit = require "api.audit"
local audit_log = require "shop.audit"
local cart = require "api.cart"
local email = require "shop.email"
local idempotent = require "lib.idempotent"
local index = require "shop.index"
local mail = require "lib.mail"
local outbox = require "shop.outbox"
local products = require "api.products"
local queue = require "shop.queue"
local read_through = require "lib.read_through"
local search = require "api.search"
local stores = require "stores"
local sweeper = require "shop.sweeper"
local tenant_shop = require "shop.tenant_shop"
local tenants = require "shop.tenants"

-- A route that needs the key of the shop's owner: 401 without one, 403 with another shop's.
local function owner(run, options)
  local route = { run = run, role = "owner" }
  for name, value in pairs(options or {}) do route[name] = value end
  return route
end

-- A repeated Idempotency-Key gets the answer that there was.
local ONCE = { idempotent = true }

local BULK_BYTES = 16 * 1024 * 1024

-- What is done later, by the kind that queue.push names: KIND = function(job), see shop/queue.lua.
queue.register {
  email = { run = email.deliver, ready = mail.ready },
}

local main = {
  routes = {
    ["GET /api/products"] = products.list,
    ["POST /api/products"] = owner(products.create, ONCE),
    ["POST /api/products/bulk"] = owner(products.create_many, { idempotent = true, body_max = BULK_BYTES }),
    ["GET /api/products/search"] = search.query,
    ["GET /api/products/suggest"] = search.suggest,
    ["GET /api/products/low-stock"] = products.low_stock,
    ["GET /api/products/by-sku/:sku"] = products.by_sku,
    ["GET /api/products/:id"] = products.get,
    ["PUT /api/products/:id"] = owner(products.replace),
    ["PATCH /api/products/:id"] = owner(products.patch),
    ["DELETE /api/products/:id"] = owner(products.remove),
    ["POST /api/products/:id/stock"] = owner(products.change_stock, ONCE),

    ["GET /api/cart"] = cart.get,
    ["DELETE /api/cart"] = cart.clear,
    ["POST /api/cart/items"] = { run = cart.add, idempotent = true },
    ["PATCH /api/cart/items/:productId"] = cart.set_quantity,
    ["DELETE /api/cart/items/:productId"] = cart.remove,
    ["PUT /api/cart/address"] = cart.set_address,
    ["PUT /api/cart/shipping"] = cart.set_shipping,
    ["PUT /api/cart/codes"] = cart.set_codes,

    ["GET /api/audit"] = owner(audit.list),
  },

  tenants = { resolve = tenants.resolve, seed = tenants.seed },

  -- What a tenant's routes.lua reaches as `shop`.
  tenant_shop = tenant_shop,

  background = {
    { name = "index.sweep", every_ms = 5000, run = index.sweep },
    { name = "ledger.sweep", every_ms = 60000, run = sweeper.run },
    { name = "audit.rules", every_ms = 500, run = audit_log.note_rules },
    { name = "cache.sweep", every_ms = 60000, run = stores.cache.sweep },
    -- These wait for their work themselves; the pause is what a failure costs.
    { name = "cache.follow", every_ms = 500, run = read_through.follow },
    { name = "cache.refresh", every_ms = 500, run = read_through.refresh },
    { name = "queue.work", every_ms = 500, run = queue.work },
    { name = "queue.email", every_ms = 500, run = function() queue.work "email" end },
    { name = "outbox.work", every_ms = 500, run = outbox.work },
    { name = "outbox.announce", every_ms = 500, run = outbox.announce },
  },
}

idempotent.protect(main.routes)
return main
