-- expect: budget_time
local a = "0x" .. ("f"):rep(262000)
while true do local b = a + 1 b = a + 1 b = a + 1 b = a + 1 b = -a b = -a end
