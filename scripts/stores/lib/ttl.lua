-- ttl.lua: a time to live as milliseconds, or why it is none.
return function(seconds)
  if type(seconds) == "number" and seconds > 0 then return math.ceil(seconds * 1000) end
  return nil, "the time to live is not a number of seconds above 0", "invalid"
end
