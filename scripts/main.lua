-- main.lua: what the server runs: the routes, the search for a request's tenant, and the work in the background.
local cart = require "api.cart"
local guard = require "lib.guard"
local health = require "api.health"
local index = require "shop.index"
local products = require "api.products"
local search = require "api.search"
local tenants = require "shop.tenants"

return {
  routes = {
    ["GET /api/products"] = products.list,
    ["POST /api/products"] = guard.owner(products.create),
    ["POST /api/products/bulk"] = guard.owner(products.create_many),
    ["GET /api/products/search"] = search.query,
    ["GET /api/products/suggest"] = search.suggest,
    ["GET /api/products/low-stock"] = products.low_stock,
    ["GET /api/products/by-sku/:sku"] = products.by_sku,
    ["GET /api/products/:id"] = products.get,
    ["PUT /api/products/:id"] = guard.owner(products.replace),
    ["PATCH /api/products/:id"] = guard.owner(products.patch),
    ["DELETE /api/products/:id"] = guard.owner(products.remove),
    ["POST /api/products/:id/stock"] = guard.owner(products.change_stock),

    ["GET /api/cart"] = cart.get,
    ["DELETE /api/cart"] = cart.clear,
    ["POST /api/cart/items"] = cart.add,
    ["PATCH /api/cart/items/:productId"] = cart.set_quantity,
    ["DELETE /api/cart/items/:productId"] = cart.remove,
    ["PUT /api/cart/address"] = cart.set_address,
    ["PUT /api/cart/shipping"] = cart.set_shipping,
    ["PUT /api/cart/codes"] = cart.set_codes,

    ["GET /healthz"] = health.alive,
    ["GET /readyz"] = health.ready,
  },

  tenants = { resolve = tenants.resolve },

  -- Called with the tenant.json documents of the editions that serve, at start and after each change of one.
  seed = function() tenants.seed(rules.seeds()) end,

  background = {
    { name = "index.sweep", every_ms = 5000, run = index.sweep },
  },
}
