-- expect: ok
local n = select("#", unpack({}, 0/0, 0/0)) return function() return n end
