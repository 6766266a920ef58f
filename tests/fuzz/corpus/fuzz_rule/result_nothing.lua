-- expect: bad_result
local x = 1
