-- expect: budget_instructions
pcall(tostring, setmetatable({}, {__tostring = function() while true do end end}))
return function() return 1 end
