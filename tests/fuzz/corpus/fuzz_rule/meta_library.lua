-- expect: rule_error
setmetatable(string, {__index = function() end})
