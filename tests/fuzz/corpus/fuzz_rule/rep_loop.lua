-- expect: budget_instructions
while true do local s = ("x"):rep(200000) end
