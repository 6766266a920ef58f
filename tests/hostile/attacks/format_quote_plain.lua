-- expect: budget_memory
return ("%q"):format(("x"):rep(262143))
