-- shipping.lua: one option at the tenant's shippingRate, free from its freeShippingThreshold on.
return function(cart, ctx)
  local settings = ctx.tenant.settings
  local threshold = settings.freeShippingThreshold
  local amount = settings.shippingRate
  if threshold and cart.discounted >= threshold then amount = 0 end
  return { { id = "std", name = "Standard", amount = amount } }
end
