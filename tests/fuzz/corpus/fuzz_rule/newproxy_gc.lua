-- expect: forbidden
local p=newproxy(true); getmetatable(p).__gc=function() while true do end end; p=nil
for i=1,1e6 do local t={} end
return "done"
