-- absent.lua: stands for the module of a server that is not there: may be required, and says so when it is called.
--
-- A file that requires it may hold handlers that never call it, and a server must not end for that.
return function(sentence)
  local stub
  stub = setmetatable({ null = json.null }, {
    __index = function() return stub end,
    __call = function() error(sentence, 2) end,
  })
  return stub
end
