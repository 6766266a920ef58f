-- expect: budget_time
local a = ("x"):rep(130000) while true do local b = a .. "y" end
