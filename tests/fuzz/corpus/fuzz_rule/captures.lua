-- expect: budget_instructions
local s = ("ab"):rep(10000) while true do s:find(("(.)"):rep(32) .. "%1%2%3c") end
