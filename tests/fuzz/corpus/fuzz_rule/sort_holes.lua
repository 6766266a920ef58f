-- expect: rule_error
local t = {1, 2, 3} table.sort(t, function(a, b) t[1], t[2], t[3] = nil return a < b end)
table.sort({1, "x", {}})
