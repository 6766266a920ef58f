-- expect: budget_depth
local t=setmetatable({},{}) getmetatable(t).__tostring=function() return tostring(t) end return pcall(tostring,t)
