-- expect: rule_error
error(setmetatable({}, {__tostring = function() while true do end end, __index = function() while true do end end}))
