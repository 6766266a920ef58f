-- statements.lua: takes a file of SQL apart into its statements, because a server that prepares takes one at a time.

-- What begins at a place and may hold a semicolon: a comment, a quoted text or name, a body between dollar signs.
-- Returns the place of its end, nil when nothing of the kind begins there, or 0 when it never ends.
local function opaque_end(text, at)
  local two = text:sub(at, at + 1)
  if two == "--" then return text:find("\n", at, true) or #text end
  if two == "/*" then return select(2, text:find("*/", at + 2, true)) or 0 end
  local quote = text:match("^['\"]", at)
  if quote then return text:find(quote, at + 1, true) or 0 end
  local tag = text:match("^%$[%a_]*[%w_]*%$", at)
  if tag then return select(2, text:find(tag, at + #tag, true)) or 0 end
end

-- Whether there is anything but comments and blanks.
local function says_something(text)
  return text:gsub("%-%-[^\n]*", ""):gsub("/%*.-%*/", ""):find "%S" ~= nil
end

local function trimmed(text)
  return text:match "^%s*(.-)%s*$"
end

-- The statements in order, without their semicolons; or nil and what is wrong.
return function(text)
  local list, from, at = {}, 1, 1
  local function take(upto)
    local statement = trimmed(text:sub(from, upto))
    if says_something(statement) then list[#list + 1] = statement end
  end
  while at <= #text do
    local ends = opaque_end(text, at)
    if ends == 0 then return nil, ("what begins with %q never ends"):format(text:sub(at, at + 20)) end
    if not ends and text:sub(at, at) == ";" then
      take(at - 1)
      from = at + 1
    end
    at = (ends or at) + 1
  end
  take(#text)
  return list
end
