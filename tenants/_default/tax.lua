-- tax.lua: the tenant's taxRate on every line; shipping is not taxed.
return function(cart, ctx)
  local rate = ctx.tenant.settings.taxRate
  local out = {}
  if rate == "0" then return out end
  for i = 1, #cart.items do out[i] = { line = i, rate = rate, name = "Tax" } end
  return out
end
