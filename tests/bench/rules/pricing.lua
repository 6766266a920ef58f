-- pricing.lua: ten or more of a line save 10 %.
return function(cart)
  local out = {}
  for i, line in ipairs(cart.items) do
    if line.quantity >= 10 then out[#out + 1] = { line = i, percent = 10, reason = "ten or more" } end
  end
  return out
end
