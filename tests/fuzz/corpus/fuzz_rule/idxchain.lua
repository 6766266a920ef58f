-- expect: bad_result
local t=setmetatable({},{}) getmetatable(t).__index=t return pcall(function() return t.x end)
