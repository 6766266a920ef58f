-- expect: budget_memory
return (("a"):rep(100000)):gsub("a", ("b"):rep(100000))
