-- expect: forbidden
-- bounded heavy work in handler: does the hook fire in handler?
local n=0
local ok,e=xpcall(function() while true do end end, function(e) for i=1,3e8 do n=n+1 end return "handler did 3e8 iterations" end)
return ok,e,n
