-- expect: bad_result
local t={} for i=1,1000 do t[i]=string.rep("y",1000) end return pcall(function() local r={} for i=1,1e6 do r[i]=table.concat(t,i) end end)
