-- expect: forbidden
_G.leak = 1
