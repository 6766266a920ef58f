-- expect: budget_instructions
("a"):gsub(".", setmetatable({}, {__index = function() while true do end end}))
