-- expect: rule_error
return (("x"):rep(250)):match(("x?"):rep(250))
