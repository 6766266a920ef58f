-- price.lua: the same arithmetic as tests/bench/rules/pricing.lua and the server's sheet, as trusted code in nginx-lua.
local cjson = require "cjson.safe"
local floor = math.floor

ngx.req.read_body()
local body = cjson.decode(ngx.req.get_body_data())
local subtotal, discount, tax = 0, 0, 0
for _, line in ipairs(body.items) do
  local amount = line.price * line.quantity
  local off = line.quantity >= 10 and floor(amount * 10 / 100 + 0.5) or 0
  subtotal = subtotal + amount
  discount = discount + off
  tax = tax + floor((amount - off) * 9 / 100 + 0.5)
end
ngx.header.content_type = "application/json"
ngx.print(cjson.encode { subtotal = subtotal, discount = discount, tax = tax, total = subtotal - discount + tax })
