-- expect: forbidden
math.randomseed(1)
