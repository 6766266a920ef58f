-- expect: ok
local t = {} for i = 1, 500 do t[i] = i end
table.sort(t, function() return true end)
table.sort(t, function(a, b) return a ~= b end)
return function() return #t end
