-- expect: rule_error
error("", 0)
