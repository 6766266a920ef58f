-- tax.lua: 9 % on each line.
return function(cart)
  local out = {}
  for i in ipairs(cart.items) do out[i] = { line = i, percent = 9, name = "tax" } end
  return out
end
