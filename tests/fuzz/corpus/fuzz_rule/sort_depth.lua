-- expect: budget_depth
local function deep() local t = {2, 1} table.sort(t, function(a, b) deep() return a < b end) end deep()
