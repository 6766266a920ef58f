-- expect: forbidden
return ("x"):dump()
