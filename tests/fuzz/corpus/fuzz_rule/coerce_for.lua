-- expect: budget_time
local a = ("1"):rep(200000) while true do local b = -a b = -a b = -a b = -a b = -a end
