-- expect: rule_error
return ("%.999f"):format(1)
