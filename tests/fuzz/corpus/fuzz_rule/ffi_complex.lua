-- expect: forbidden
local i = 12i return function() return i end
