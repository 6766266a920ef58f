-- expect: budget_instructions
local t = {} for i = 1, 20000 do t[i] = i end while true do table.maxn(t) end
