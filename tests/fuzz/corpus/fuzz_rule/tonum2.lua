-- expect: budget_memory
local a="0x"..string.rep("f",3000000) for i=1,100 do tonumber(a) end return tonumber(a)
