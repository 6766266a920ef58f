-- expect: ok
return function() return setmetatable({}, {__index = function() while true do end end, __len = function() while true do end end}) end
