-- expect: budget_memory
-- live set ~60% of an 8 MiB cap, then only garbage
local live={} for i=1,5 do live[i]=string.rep("L",1e6)..i end
for i=1,2000 do local g=string.rep("g",2e5)..i end
return "survived"
