-- expect: bad_result
local t={} t[2^26]=1 t[2^31]=1 t[2^53]=1 local u={} for i=1,26 do u[2^i]=1 end return pcall(rawlen or function() return #u end,u)
