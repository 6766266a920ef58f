-- expect: budget_memory
local s="" for i=1,2e5 do s=s.."x" end return #s
