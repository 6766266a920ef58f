-- expect: rule_error
setmetatable("", {})
