-- expect: rule_error
error("deep", 2^31)
