-- expect: forbidden
return io.open("/etc/passwd")
