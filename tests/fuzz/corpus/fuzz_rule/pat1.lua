-- expect: budget_instructions
-- polynomial: n=100..; (.-) x5 then mismatch
local s=string.rep("a",200) return s:find(".-.-.-.-b")
