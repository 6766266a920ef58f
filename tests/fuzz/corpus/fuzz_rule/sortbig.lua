-- expect: budget_memory
local t={} for i=1,300000 do t[i]=(i*7919)%300007 end table.sort(t) return t[1]
