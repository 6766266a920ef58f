-- expect: forbidden
return gcinfo()
