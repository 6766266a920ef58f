-- shipping.lua: takkyubin by region and weight, free at home above the threshold; Korea and Taiwan by air.
local FAR = { Hokkaido = 400, Okinawa = 600 }
local ABROAD = { KR = 1800, TW = 2000 }

local function weight(cart)
  local grams = 0
  for _, line in ipairs(cart.items) do grams = grams + line.weight_grams * line.quantity end
  return grams
end

return function(cart, ctx)
  local country = ctx.address and ctx.address.country or "JP"
  local grams = weight(cart)
  if ABROAD[country] then
    if grams > 10000 then return {} end
    local amount = ABROAD[country] + math.ceil(grams / 500) * 250
    return { { id = "air", name = "EMS air parcel", amount = amount, days = 5 } }
  end
  if country ~= "JP" then return {} end

  local amount = 700 + math.ceil(math.max(0, grams - 2000) / 3000) * 200
  amount = amount + (ctx.address and FAR[ctx.address.state] or 0)
  local threshold = ctx.tenant.settings.freeShippingThreshold
  if threshold and cart.discounted >= threshold then amount = 0 end
  local out = { { id = "takkyubin", name = "Takkyubin", amount = amount, days = 2 } }
  if grams <= 1000 then out[2] = { id = "letter", name = "Letter Pack", amount = 430, days = 3 } end
  return out
end
