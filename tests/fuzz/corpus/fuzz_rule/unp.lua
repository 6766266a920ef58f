-- expect: budget_memory
local r={} local function p(...) local ok,e=pcall(...) r[#r+1]=tostring(ok)..":"..tostring(e):sub(1,40) end
p(unpack,{},1,1e7) p(unpack,{},1,2^31-1) p(unpack,{},-2^31,2^31-1) p(unpack,{},0,2^31-1) p(unpack,{},2^31-2,2^31-1) p(unpack,{},1,1e308) p(unpack,{},0/0,1)
p(string.byte,string.rep("a",1e6),1,-1) p(string.char,256) p(string.char,-1) p(select,-1) p(select,2^31) p(table.concat,{},"",-2^31,2^31-1) p(string.sub,"x",-2^31,2^31-1) p(table.insert,{},2^31-1,1) p(table.remove,{},-2^31)
return table.concat(r,"|")
