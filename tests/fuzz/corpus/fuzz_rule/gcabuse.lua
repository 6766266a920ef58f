-- expect: budget_memory
local live={} for i=1,1e5 do live[i]={i} end
local n=0 while true do collectgarbage("collect") n=n+1 end
