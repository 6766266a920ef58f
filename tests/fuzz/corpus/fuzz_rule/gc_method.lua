-- expect: ok
for i = 1, 1000 do setmetatable({}, {__gc = function() while true do end end}) end
return function() return "no finalizer" end
