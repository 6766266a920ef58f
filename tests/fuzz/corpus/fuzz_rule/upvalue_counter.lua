-- expect: ok
local n = 0 return function() n = n + 1 assert(n == 1, "something was kept") return n end
