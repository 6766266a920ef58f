-- dialect.lua: writes the statements of the ledger for an engine: "{now}" and the like become what that engine says.
--
-- A word in braces is a function of the dialect; what follows it are its arguments, parted by "|". The innermost are
-- written first.
local dialect = {}

local function arguments_of(text)
  local list = {}
  for part in (text .. "|"):gmatch "%s*(.-)%s*|" do list[#list + 1] = part end
  return unpack(list)
end

-- words: name → function(arguments) → text. Returns the function that writes a statement.
function dialect.writer(words)
  local function write(name, rest)
    return assert(words[name], "the dialect has no word " .. name)(arguments_of(rest))
  end
  return function(text)
    local count
    repeat text, count = text:gsub("{([%l_]+)%s*([^{}]*)}", write) until count == 0
    return (text:gsub("%s+", " "))
  end
end

return dialect
