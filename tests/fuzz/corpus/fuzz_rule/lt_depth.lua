-- expect: budget_depth
local mt = {} mt.__lt = function(a, b) table.sort({a, b}) return true end
table.sort({setmetatable({}, mt), setmetatable({}, mt)})
