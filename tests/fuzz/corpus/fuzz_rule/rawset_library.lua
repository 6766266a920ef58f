-- expect: forbidden
rawset(string, "format", nil)
