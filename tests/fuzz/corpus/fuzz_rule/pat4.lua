-- expect: budget_instructions
return string.find(string.rep("a",100000), ".-b")
