-- expect: rule_error
return ("x"):rep(100000):byte(1, -1)
