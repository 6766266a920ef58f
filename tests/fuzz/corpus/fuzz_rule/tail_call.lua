-- expect: budget_instructions
local function f() return f() end return f()
