-- cart.lua: what shoppers may send to a cart.
local schema = require "lib.schema"

local cart = {}

-- Most lines of a cart, and most pieces of a line: the engine's sums stay exact far beyond both.
cart.MOST_LINES = 200
cart.MOST_PIECES = 9999

cart.item = schema.entity("cart item", {
  { "productId", type = "string", required = true, max = 100 },
  { "quantity", type = "integer", min = 1, max = cart.MOST_PIECES, default = 1 },
})

cart.quantity = schema.entity("quantity", {
  { "quantity", type = "integer", required = true, min = 1, max = cart.MOST_PIECES },
})

-- For an estimate a country is enough; a checkout asks for the rest.
cart.address = schema.entity("address", {
  { "line1", type = "string", max = 200 },
  { "line2", type = "string", max = 200 },
  { "city", type = "string", max = 100 },
  { "state", type = "string", max = 100 },
  { "postalCode", type = "string", max = 20 },
  { "country", type = "string", required = true, pattern = "^%u%u$",
    says = "must be an ISO 3166 code of two capitals" },
})

cart.shipping = schema.entity("shipping", {
  { "option", type = "string", required = true, min = 1, max = 64 },
})

cart.codes = schema.entity("codes", {
  { "codes", type = "list", required = true, max = 20, of = { type = "string", min = 1, max = 64 } },
})

return cart
