-- expect: budget_memory
local ok,e=pcall(function() local t={} for i=1,1e9 do t[i]={} end end)
local ok2,e2=pcall(function() local u={} for i=1,20000 do u[i]={i} end return #u end)
return ok,e,ok2,e2
