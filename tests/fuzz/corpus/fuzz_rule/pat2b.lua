-- expect: budget_instructions
return string.find(string.rep("a",28), string.rep("a?",28)..string.rep("a",28))
