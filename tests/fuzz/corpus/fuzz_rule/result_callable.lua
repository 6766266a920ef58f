-- expect: bad_result
return setmetatable({}, {__call = function() end})
