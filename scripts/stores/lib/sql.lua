-- sql.lua: a statement in the making: its text and its parameters, in step.
local sql = {}
sql.__index = sql

function sql.new()
  return setmetatable({ parts = {}, params = { n = 0 } }, sql)
end

-- Appends text and the values of its question marks; a nil is a NULL.
function sql:add(text, ...)
  self.parts[#self.parts + 1] = text
  for i = 1, select("#", ...) do
    self.params.n = self.params.n + 1
    self.params[self.params.n] = (select(i, ...))
  end
  return self
end

-- Appends another one's text and parameters.
function sql:join(other)
  return self:add(other:text(), unpack(other.params, 1, other.params.n))
end

function sql:text()
  return table.concat(self.parts)
end

return sql
