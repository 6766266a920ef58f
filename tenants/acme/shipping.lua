-- shipping.lua: by weight and country: free above the threshold at home, zones abroad, nothing where we do not ship.
local ZONES = {
  US = { base = 499, per_kg = 150, days = 4 },
  CA = { base = 1290, per_kg = 420, days = 7 },
  GB = { base = 1890, per_kg = 780, days = 9 },
  DE = { base = 1890, per_kg = 780, days = 9 },
  FR = { base = 1890, per_kg = 780, days = 9 },
  JP = { base = 2490, per_kg = 990, days = 10 },
}

-- Whole kilograms, rounded up; the first one is in the base price.
local function extra_kilograms(cart)
  local grams = 0
  for _, line in ipairs(cart.items) do grams = grams + line.weight_grams * line.quantity end
  return math.max(0, math.ceil(grams / 1000) - 1)
end

return function(cart, ctx)
  local country = ctx.address and ctx.address.country or "US"
  local zone = ZONES[country]
  if not zone then return {} end

  local amount = zone.base + zone.per_kg * extra_kilograms(cart)
  if country ~= "US" then
    return { { id = "intl", name = "International parcel", amount = amount, days = zone.days } }
  end

  local threshold = ctx.tenant.settings.freeShippingThreshold
  local free = threshold and cart.discounted >= threshold
  return {
    { id = "std", name = free and "Standard (free)" or "Standard", amount = free and 0 or amount, days = zone.days },
    { id = "express", name = "Express", amount = amount + 1200, days = 1 },
  }
end
