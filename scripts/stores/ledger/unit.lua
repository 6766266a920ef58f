-- unit.lua: a unit of work: statements that happen together or not at all, and what their rows mean.
--
-- A statement is { text, { parameters }, expect = rows it must find or change, lacks = { sentence, name } when it does
-- not, into = the table whose uniqueness it may break }. A unit is a list of statements with `result`, a function of
-- the list of their rows, and `locks`: texts, of which no two units at once hold the same. One that may wait long for
-- them has `waits`: nobody else is to wait behind it.
local unit = {}

-- A statement that must find or change exactly one row.
function unit.one(text, params, sentence, name)
  return { text, params, expect = 1, lacks = { sentence, name or "precondition_failed" } }
end

-- A unit whose result is that of the last statement's first row, translated.
function unit.last(list, translate)
  function list.result(rows)
    return translate(rows[#rows][1])
  end
  return list
end

-- A unit whose result is known beforehand.
function unit.always(list, value)
  function list.result() return value end
  return list
end

local bytes = { __tostring = function(value) return value[1] end }

-- A parameter that may hold any bytes.
function unit.bytes(text)
  return text and setmetatable({ text }, bytes)
end

-- The text of such a parameter; nil when it is another.
function unit.bytes_of(value)
  return getmetatable(value) == bytes and value[1] or nil
end

return unit
