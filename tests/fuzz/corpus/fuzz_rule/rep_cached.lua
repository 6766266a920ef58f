-- expect: budget_instructions
while true do local s = ("x"):rep(200) end
