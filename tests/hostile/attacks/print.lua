-- expect: forbidden
print("hello")
