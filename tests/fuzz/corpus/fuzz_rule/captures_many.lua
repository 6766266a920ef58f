-- expect: rule_error
return ("a"):find(("()"):rep(33))
