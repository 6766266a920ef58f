-- expect: forbidden
return xpcall(function() error(setmetatable({},{__tostring=function() error"x" end})) end, function(e) return tostring(e) end)
