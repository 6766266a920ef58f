-- expect: budget_instructions
return (("a"):rep(250000)):find((".-"):rep(10) .. "b")
