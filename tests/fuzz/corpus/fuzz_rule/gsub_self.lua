-- expect: budget_depth
local function f(c) return (c:gsub(".", f)) end return f("a")
