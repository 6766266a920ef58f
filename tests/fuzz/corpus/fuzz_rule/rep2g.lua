-- expect: bad_result
return pcall(string.rep,"x",2^31-1)
