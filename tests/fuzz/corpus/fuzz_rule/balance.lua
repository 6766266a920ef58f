-- expect: budget_instructions
local s = ("("):rep(50000) while true do s:find("%b()") end
