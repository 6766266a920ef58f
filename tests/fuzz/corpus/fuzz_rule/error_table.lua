-- expect: rule_error
error({code = 1})
