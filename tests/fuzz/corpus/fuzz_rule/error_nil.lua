-- expect: rule_error
error(nil)
