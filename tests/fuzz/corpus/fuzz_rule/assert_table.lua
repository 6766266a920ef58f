-- expect: rule_error
assert(false, {})
