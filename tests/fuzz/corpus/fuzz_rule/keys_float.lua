-- expect: budget_memory
local t = {} for i = 1, 20000 do t[i + 0.5] = i end return function() return 1 end
