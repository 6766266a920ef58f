-- tax.lua: consumption tax is in the prices: 10 %, and 8 % on food and drink other than alcohol.
local function has(line, category)
  for _, name in ipairs(line.category) do
    if name == category then return true end
  end
  return false
end

return function(cart, ctx)
  local out = {}
  if ctx.address and ctx.address.country ~= "JP" then return out end
  for i, line in ipairs(cart.items) do
    if has(line, "Food") then
      out[#out + 1] = { line = i, percent = "8", name = "Consumption tax 8 % (reduced)", inclusive = true }
    else
      out[#out + 1] = { line = i, percent = "10", name = "Consumption tax 10 %", inclusive = true }
    end
  end
  if cart.shipping > 0 then
    out[#out + 1] = { shipping = true, percent = "10", name = "Consumption tax 10 %", inclusive = true }
  end
  return out
end
