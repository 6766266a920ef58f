-- expect: budget_instructions
local set = "[" .. ("x"):rep(60000) .. "]*$" while true do (("y"):rep(60000)):find(set) end
