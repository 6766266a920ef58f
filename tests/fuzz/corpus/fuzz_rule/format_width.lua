-- expect: rule_error
return ("%999d"):format(1)
