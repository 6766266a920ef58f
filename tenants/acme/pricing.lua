-- pricing.lua: tier prices, a camp bundle, a welcome code, and a rate for wholesale customers.
local TIERS = { { 25, 15 }, { 10, 10 } } -- from so many of one line, so many per cent

local function has(line, category)
  for _, name in ipairs(line.category) do
    if name == category then return true end
  end
  return false
end

-- The first line of a category, and its index.
local function find(cart, category)
  for i, line in ipairs(cart.items) do
    if has(line, category) then return i end
  end
end

return function(cart, ctx)
  local out = {}
  for i, line in ipairs(cart.items) do
    for _, tier in ipairs(TIERS) do
      if line.quantity >= tier[1] then
        out[#out + 1] = { line = i, percent = tier[2], reason = tier[1] .. " or more", code = "tier" }
        break
      end
    end
  end

  -- A tent and a sleeping bag together: 12 % off both lines.
  local tent, bag = find(cart, "Tents"), find(cart, "Sleeping Bags")
  if tent and bag then
    out[#out + 1] = { line = tent, percent = 12, reason = "camp bundle", code = "bundle" }
    out[#out + 1] = { line = bag, percent = 12, reason = "camp bundle", code = "bundle" }
  end

  local typed = {} -- a code counts once, whatever its case
  for _, code in ipairs(cart.codes) do typed[code:upper()] = true end
  if typed.WELCOME10 and ctx.customer.orders == 0 then
    out[#out + 1] = { order = true, percent = 10, reason = "welcome to Acme", code = "WELCOME10" }
  end
  if typed.TAKE5 and cart.subtotal >= 4000 then
    out[#out + 1] = { order = true, amount = -500, reason = "5 off orders from 40", code = "TAKE5" }
  end

  if ctx.customer.group == "wholesale" then
    out[#out + 1] = { order = true, percent = "15", reason = "wholesale", code = "wholesale" }
  end
  return out
end
