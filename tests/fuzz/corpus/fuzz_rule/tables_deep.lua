-- expect: budget_memory
local t = {} while true do t = {t} end
