-- expect: budget_instructions
pcall(string.gsub, "abc", ".", function() while true do end end)
return function() return "survived" end
