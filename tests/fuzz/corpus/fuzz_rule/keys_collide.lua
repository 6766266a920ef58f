-- expect: budget_memory
local t = {} for i = 1, 20000 do t[i * 2^32] = i end return function() return 1 end
