-- expect: budget_memory
local t = {} for i = 1, 60000 do t[i] = "s" .. i end return function() return 1 end
