-- expect: budget_time
local a = "1." .. ("3"):rep(262000)
while true do local b = a * a b = a * a b = a * a b = a * a end
