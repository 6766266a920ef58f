-- expect: rule_error
return select(-5, 1)
