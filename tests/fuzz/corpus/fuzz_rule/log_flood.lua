-- expect: budget_instructions
while true do log(("x"):rep(1000)) end
