-- pricing.lua: three for two on socks, a set price for a pair of tea cups, and a member's rebate.
local function has(line, category)
  for _, name in ipairs(line.category) do
    if name == category then return true end
  end
  return false
end

local function is_member(ctx)
  for _, tag in ipairs(ctx.customer.tags) do
    if tag == "member" then return true end
  end
  return false
end

return function(cart, ctx)
  local out = {}
  for i, line in ipairs(cart.items) do
    local free = math.floor(line.quantity / 3)
    if has(line, "Socks") and free > 0 then
      out[#out + 1] = { line = i, amount = -free * line.price, reason = "three for two", code = "3for2" }
    elseif line.sku:match "^YUNOMI%-" and line.quantity >= 2 then
      out[#out + 1] = { line = i, unit_price = line.price - 200, reason = "tea cups in pairs", code = "pair" }
    end
  end
  for _, code in ipairs(cart.codes) do
    if code == "HANAMI" and ctx.now.month >= 3 and ctx.now.month <= 4 then
      out[#out + 1] = { order = true, percent = 5, reason = "cherry blossom season", code = "HANAMI" }
    elseif code == "OMIYAGE" then
      out[#out + 1] = { order = true, amount = -300, reason = "souvenir coupon", code = "OMIYAGE" }
    end
  end
  if is_member(ctx) then
    out[#out + 1] = { order = true, percent = "3", reason = "member", code = "member", stop = true }
  end
  return out
end
