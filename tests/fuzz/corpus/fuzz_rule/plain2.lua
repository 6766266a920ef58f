-- expect: budget_memory
return string.find(string.rep("a",2000000), string.rep("a",1000000).."b",1,true)
