-- expect: forbidden
local big = 1LL return function() return big end
