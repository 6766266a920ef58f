-- expect: budget_memory
return pcall(string.find,string.rep("a",1e6),string.rep("(a",40))
