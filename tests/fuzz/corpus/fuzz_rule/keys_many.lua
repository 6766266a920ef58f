-- expect: budget_memory
local t = {} for i = 1, 5000 do t["k" .. i] = true end return function() return 1 end
