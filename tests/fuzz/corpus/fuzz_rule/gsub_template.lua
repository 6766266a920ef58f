-- expect: rule_error
return ("a"):gsub("a", "%")
