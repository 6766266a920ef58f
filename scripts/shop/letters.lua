-- letters.lua: the texts of emails. A shop replaces one in its settings:
-- { "letters": { "orderConfirmation": { "subject": "…", "text": "…" } } }.
--
-- {name} in either stands for a value; {shop} is the shop's name.
local letters = {}

local TEXTS = {
  orderConfirmation = {
    subject = "Your order {orderNumber} at {shop}",
    text = "Thank you for your order {orderNumber}.\n\n{lines}\n\nTotal: {total}\n\n{shop}\n",
  },
}

local function fill(text, values)
  return (text:gsub("{(%a%w*)}", function(name)
    local value = values[name]
    return value ~= nil and tostring(value) or nil
  end))
end

-- A value is a shopper's text, perhaps: it must not begin another line of the header.
local function one_line(text)
  return (text:gsub("%s*%c+%s*", " "))
end

local function own(tenant, name)
  local settings = tenant.settings and tenant.settings.letters
  local letter = type(settings) == "table" and settings[name]
  if type(letter) == "table" and type(letter.subject) == "string" and type(letter.text) == "string" then
    return letter
  end
  return nil
end

-- The letter of this name in the words of the tenant (its document), or nil when there is none: { subject, text }.
function letters.write(tenant, name, values)
  local texts = own(tenant, name) or TEXTS[name]
  if not texts then return nil end
  local all = { shop = tenant.name }
  for key, value in pairs(values or {}) do all[key] = value end
  return { subject = one_line(fill(texts.subject, all)), text = fill(texts.text, all) }
end

return letters
