-- expect: forbidden
setfenv(1, {})
