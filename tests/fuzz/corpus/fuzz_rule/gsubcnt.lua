-- expect: budget_memory
return #string.gsub(string.rep("a",1000000), "", "bb")
