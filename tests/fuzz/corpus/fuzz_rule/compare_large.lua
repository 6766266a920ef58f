-- expect: budget_time
local a = ("x"):rep(262000) .. "a" local b = ("x"):rep(262000) .. "b"
while true do local c = a < b c = a < b c = a < b c = a < b end
