-- checkout.lua: few bottles, and none of them abroad.
local function has(line, category)
  for _, name in ipairs(line.category) do
    if name == category then return true end
  end
  return false
end

return function(cart, ctx)
  local out, bottles = {}, 0
  local most = ctx.tenant.settings.mostBottles or 12
  local abroad = ctx.address and ctx.address.country ~= "JP"
  for i, line in ipairs(cart.items) do
    if has(line, "alcohol") then
      bottles = bottles + line.quantity
      if abroad then
        out[#out + 1] = { code = "alcohol_abroad", line = i, message = line.name .. " cannot leave Japan." }
      end
    end
  end
  if bottles > most then
    out[#out + 1] = { code = "bottles", message = "At most " .. most .. " bottles in one order." }
  end
  return out
end
