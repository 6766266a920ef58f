-- expect: forbidden
local ffi = require("ffi")
