-- expect: forbidden
return loadstring("\27LJ")()
