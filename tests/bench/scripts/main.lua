-- main.lua: the handlers that the benchmarks call; no store stands behind them, so that the server itself is measured.
local tenant_documents = {}

-- bench7.localhost is the shop bench7.
local function resolve(_, text)
  local slug = text:match "^(bench%d+)" or "bench0"
  local found = tenant_documents[slug]
  if not found then
    found = {
      id = ("00000000-0000-7000-8000-%012d"):format(tonumber(slug:match "%d+")),
      slug = slug, name = slug, subdomain = slug,
      settings = { currency = "USD", taxRate = "0.09" },
    }
    tenant_documents[slug] = found
  end
  return found
end

local function plaintext()
  return "Hello, World!"
end

local function encoded()
  return { message = "Hello, World!", items = { 1, 2, 3 }, ok = true }
end

-- The posted cart, priced by the tenant's rules; amounts are minor units on both sides.
local function price(req)
  local body = req.json
  local quote, text = rules.price(req, { items = body.items, customer = { group = "retail" }, explain = false })
  if not quote then error(text) end
  return { subtotal = quote.subtotal, discount = quote.discount, tax = quote.tax, total = quote.total }
end

return {
  routes = {
    ["GET /plaintext"] = plaintext,
    ["GET /json"] = encoded,
    ["POST /price"] = price,
  },
  tenants = { resolve = resolve, seed = function() end },
  tenant_shop = {},
  background = {},
}
