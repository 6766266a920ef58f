-- expect: forbidden
leak = 1
