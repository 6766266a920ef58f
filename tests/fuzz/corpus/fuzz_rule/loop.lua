-- expect: budget_instructions
while true do end
