-- expect: budget_instructions
local t = {} for i = 1, 4000 do t["k" .. i] = i end
local k while true do k = next(t, k) end
