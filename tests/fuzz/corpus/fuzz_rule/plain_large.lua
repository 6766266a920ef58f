-- expect: budget_instructions
local s = ("a"):rep(250000) local n = ("a"):rep(120000) .. "b" while true do s:find(n, 1, true) end
