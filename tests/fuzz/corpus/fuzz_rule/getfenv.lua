-- expect: forbidden
getfenv(0).x = 1
