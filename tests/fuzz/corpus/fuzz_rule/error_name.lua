-- expect: rule_error
error("the script ran for too long")
