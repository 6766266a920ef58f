-- expect: rule_error
error(("x"):rep(200000))
