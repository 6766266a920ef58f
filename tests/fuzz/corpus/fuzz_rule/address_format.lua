-- expect: rule_error
return string.format("%p", {})
