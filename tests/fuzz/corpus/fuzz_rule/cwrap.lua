-- expect: forbidden
local function f() coroutine.wrap(f)() end f()
