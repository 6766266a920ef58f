-- expect: budget_memory
local t={} return pcall(function() for i=1,1e9 do t[i]=i end end)
