-- expect: budget_instructions
local mt = {__lt = function() while true do end end}
local t = {} for i = 1, 10 do t[i] = setmetatable({}, mt) end
table.sort(t)
