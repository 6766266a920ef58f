-- expect: bad_result
local t t=setmetatable({},{__concat=function(a,b) return t..t end}) return pcall(function() return t..t end)
