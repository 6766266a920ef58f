-- pricing.lua: books have a fixed price; three or more pieces of stationery save 10 %.
local function is_book(line)
  for _, name in ipairs(line.category) do
    if name == "Books" then return true end
  end
  return false
end

return function(cart)
  local out = {}
  for i, line in ipairs(cart.items) do
    if not is_book(line) and line.quantity >= 3 then
      out[#out + 1] = { line = i, percent = 10, reason = "three or more" }
    end
  end
  return out
end
