-- expect: budget_depth
local n = 0 local function f() n = n + 1 pcall(f) end f() return function() return n end
