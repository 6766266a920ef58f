-- expect: rule_error
return unpack({}, 1, 1e7)
