-- expect: bad_result
local function f() return load(f) end return pcall(f)
