-- expect: rule_error
return ("%d"):format(0/0)
