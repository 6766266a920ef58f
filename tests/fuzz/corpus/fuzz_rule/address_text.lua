-- expect: ok
assert(tostring({}) == "table" and tostring(type) == "function" and ("%s"):format({}) == "table")
return function() return "no address" end
