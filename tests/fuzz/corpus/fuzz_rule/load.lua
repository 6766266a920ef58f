-- expect: forbidden
return load("return 1")()
