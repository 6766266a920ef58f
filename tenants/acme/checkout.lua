-- checkout.lua: few of what is limited, no oversized parcels abroad, and orders between 5 and 10,000.
local LEAST, MOST = 500, 1000000

local function has(line, category)
  for _, name in ipairs(line.category) do
    if name == category then return true end
  end
  return false
end

return function(cart, ctx)
  local out = {}
  local most = ctx.tenant.settings.mostLimited or 2
  local abroad = ctx.address and ctx.address.country ~= "US"
  for i, line in ipairs(cart.items) do
    if has(line, "limited") and line.quantity > most then
      out[#out + 1] = { code = "limited", line = i, message = "At most " .. most .. " of " .. line.name .. " each." }
    end
    if abroad and has(line, "oversized") then
      out[#out + 1] = { code = "oversized", line = i, message = line.name .. " cannot be sent abroad." }
    end
  end
  if cart.count > 0 and cart.total < LEAST then
    out[#out + 1] = { code = "min_order", message = "Orders start at " .. money.format(LEAST, ctx.currency) .. "." }
  end
  if cart.total > MOST then
    out[#out + 1] = { code = "max_order", message = "Please call us for orders of this size." }
  end
  return out
end
