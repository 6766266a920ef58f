-- amount.lua: amounts between whole minor units, as callers have them, and the decimal text that is stored.
local amount = {}

function amount.text(minor, currency)
  return money.format(minor, money.digits(currency))
end

-- Raises when what is stored is none: then the table was written by something else.
function amount.minor(text, currency)
  local digits = assert(money.digits(currency), "a stored currency is unknown")
  return (assert(money.parse(text, digits)))
end

return amount
