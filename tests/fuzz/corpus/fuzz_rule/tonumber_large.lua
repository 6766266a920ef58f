-- expect: budget_instructions
local a = "0x" .. ("f"):rep(262000) while true do tonumber(a) end
