-- expect: bad_result
return #string.format("%99.99f",1e308), pcall(string.format,"%.999f",1)
