-- cart.lua: /api/cart: the shopper's cart, priced by the tenant's rules.
local answer = require "lib.answer"
local carts = require "shop.carts"
local etag = require "lib.etag"
local query = require "lib.query"
local session = require "lib.session"

local api = {}

local function shown(cart)
  return answer.json(200, cart, { ETag = etag.of(cart.version), ["Cache-Control"] = "no-store" })
end

api.get = session.wrap(function(req, id)
  local wanted = query.read(req, { explain = query.flag })
  return shown(carts.get(req.tenant, id, wanted.explain))
end)

api.add = session.wrap(function(req, id)
  return shown(carts.add(req.tenant, id, req.json, etag.condition(req)))
end)

api.set_quantity = session.wrap(function(req, id)
  return shown(carts.set_quantity(req.tenant, id, req.params.productId, req.json, etag.condition(req)))
end)

api.remove = session.wrap(function(req, id)
  return shown(carts.remove(req.tenant, id, req.params.productId, etag.condition(req)))
end)

api.clear = session.wrap(function(req, id)
  carts.clear(req.tenant, id, etag.condition(req))
  return answer.empty(204)
end)

api.set_address = session.wrap(function(req, id)
  return shown(carts.set_address(req.tenant, id, req.json, etag.condition(req)))
end)

api.set_shipping = session.wrap(function(req, id)
  return shown(carts.set_shipping(req.tenant, id, req.json, etag.condition(req)))
end)

api.set_codes = session.wrap(function(req, id)
  return shown(carts.set_codes(req.tenant, id, req.json, etag.condition(req)))
end)

return api
