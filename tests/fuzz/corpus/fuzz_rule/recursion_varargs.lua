-- expect: budget_depth
local function f(...) return f(1, ...) + 1 end return f()
