-- expect: budget_memory
return ("%q"):format(("\0"):rep(200000))
