-- expect: bad_result
local t t=setmetatable({},{__add=function(a,b) return (t+t) end,__lt=function() return (t<t) end,__eq=function() return true end,__unm=function() return -t end}) return pcall(function() return t+t end),pcall(function() return t<t end)
