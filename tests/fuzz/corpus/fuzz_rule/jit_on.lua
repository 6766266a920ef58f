-- expect: forbidden
jit.on()
