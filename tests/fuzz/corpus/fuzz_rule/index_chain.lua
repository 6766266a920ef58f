-- expect: rule_error
local t = {} for i = 1, 500 do t = setmetatable({}, {__index = t}) end return t.x
