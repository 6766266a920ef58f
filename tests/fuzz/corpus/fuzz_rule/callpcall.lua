-- expect: budget_depth
return pcall(function() setmetatable({},{__call=pcall})() end)
