-- product.lua: the one declaration of a product: its fields, their types and limits, and who may write them.
local schema = require "lib.schema"

local function new_list() return json.array {} end
local function new_map() return json.object {} end

local image = {
  { "url", type = "string", required = true, max = 2000, pattern = "^https?://[^%s]+$",
    says = "must be an http(s) URL" },
  { "alt", type = "string", max = 500, default = "" },
  { "order", type = "integer", min = 0, max = 1000, default = 0 },
}

local product = schema.entity("product", {
  { "id", type = "string", write = "never" },
  { "name", type = "string", required = true, min = 1, max = 255 },
  { "sku", type = "string", required = true, min = 1, max = 100, pattern = "^%S.*$",
    says = "must not start with a space" },
  { "description", type = "string", max = 65535, lines = true, default = "" },
  { "price", type = "money", required = true, max = 99999999999 },
  { "currency", type = "string", min = 3, max = 3, default = function(context) return context.currency end },
  { "category", type = "list", max = 50, of = { type = "string", min = 1, max = 100 }, default = new_list },
  { "images", type = "list", max = 100, of = { type = "object", fields = image }, default = new_list },
  { "attributes", type = "map", max = 50, names = 64, of = { type = "scalar", max = 500 }, default = new_map },
  { "weightGrams", type = "integer", min = 0, max = 100000000, default = 0 },
  { "stock", type = "integer", min = -1000000000, max = 1000000000, default = 0, write = "create",
    says_read_only = "is changed by POST /api/products/{id}/stock" },
  { "stockPolicy", type = "string", choices = schema.choices("deny", "continue"), default = "deny" },
  { "status", type = "string", choices = schema.choices("active", "draft", "archived"), default = "active" },
  { "version", type = "integer", write = "never" },
  { "createdAt", type = "string", write = "never" },
  { "updatedAt", type = "string", write = "never" },
  -- Raised by every change, also by sales: what the search index follows.
  { "rev", type = "integer", internal = true },
  -- True from a change until the search index holds it.
  { "pending", type = "boolean", internal = true },
  -- Changes of price that are still to be noted in the ledger: shop.audit.
  { "audits", type = "list", internal = true },
})

-- What no single field can say.
function product.rule(clean, report)
  if clean.currency and clean.currency ~= report.context.currency then
    report.add("/currency", "not_allowed", "must be the shop's currency, " .. report.context.currency)
  end
  if clean.stock and clean.stock < 0 and clean.stockPolicy ~= "continue" then
    report.add("/stock", "range", "must not be below 0 unless stockPolicy is continue")
  end
end

-- The body of a stock change: exactly one of the two.
product.stock_change = schema.entity("stock change", {
  { "set", type = "integer", min = -1000000000, max = 1000000000 },
  { "adjust", type = "integer", min = -1000000000, max = 1000000000 },
})

function product.stock_change.rule(clean, report)
  if (clean.set == nil) == (clean.adjust == nil) and #report.errors == 0 then
    report.add("", "required", "must have exactly one of set and adjust")
  end
end

return product
