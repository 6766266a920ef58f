-- expect: forbidden
string.format = nil
