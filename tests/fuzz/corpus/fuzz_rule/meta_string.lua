-- expect: rule_error
getmetatable("").__index = nil
