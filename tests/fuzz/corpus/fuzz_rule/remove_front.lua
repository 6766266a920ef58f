-- expect: budget_instructions
local t = {} for i = 1, 30000 do t[i] = i end
while true do table.insert(t, (table.remove(t, 1))) end
