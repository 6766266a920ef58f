-- expect: budget_memory
local s = ("x"):rep(200000) return ("%s%s"):format(s, s)
