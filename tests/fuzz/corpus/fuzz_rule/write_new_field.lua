-- expect: forbidden
math.secret = 42
