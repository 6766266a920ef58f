-- expect: budget_instructions
return ("%q"):format(("\0"):rep(200000))
