-- expect: budget_memory
return pcall(string.match,string.rep("x",300000),string.rep("x-",190).."y")
