-- expect: budget_depth
local a local function b() return 1 + a() end a = function() return 1 + b() end return a()
