-- expect: rule_error
return getmetatable("").__index==string, tostring(print), string.format("%p",{})
