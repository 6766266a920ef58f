-- expect: budget_instructions
local ok = pcall(function() while true do end end)
return function() return "survived" end
