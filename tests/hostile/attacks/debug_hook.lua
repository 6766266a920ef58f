-- expect: forbidden
debug.sethook()
