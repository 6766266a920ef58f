-- expect: budget_instructions
local a = ("z"):rep(262000) while true do tonumber(a, 36) end
