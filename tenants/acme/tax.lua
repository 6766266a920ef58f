-- tax.lua: two tax lines at home (state and city), none on what leaves the country. Food is taxed at the lower rate.
local STATES = {
  IL = { state = "6.25", city = "2.00", name = "Illinois", food = "1" },
  CA = { state = "7.25", city = "1.25", name = "California", food = "0" },
  NY = { state = "4.00", city = "4.50", name = "New York", food = "0" },
}

local function is_food(line)
  for _, name in ipairs(line.category) do
    if name == "Food" then return true end
  end
  return false
end

return function(cart, ctx)
  local out = {}
  if ctx.address and ctx.address.country ~= "US" then return out end
  -- Without an address we estimate with our own state; a state we have no presence in is not taxed.
  local rates = STATES[ctx.address and ctx.address.state or "IL"]
  if not rates then return out end

  for i, line in ipairs(cart.items) do
    local rate = is_food(line) and rates.food or rates.state
    if rate ~= "0" then out[#out + 1] = { line = i, percent = rate, name = rates.name .. " sales tax" } end
    if not is_food(line) then out[#out + 1] = { line = i, percent = rates.city, name = "City sales tax" } end
  end
  return out
end
