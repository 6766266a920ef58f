-- expect: budget_memory
local a = ("x"):rep(100000) return a .. a .. a .. a .. a .. a .. a .. a
