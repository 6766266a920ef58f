-- expect: forbidden
local function h(e) local _,_,_,_,_,_ = xpcall(function() error(1) end,h) return e end return xpcall(function() error(0) end,h)
