-- audit.lua: `perigee audit export`: writes a tenant's audit as CSV, page by page.
local audit = require "shop.audit"
local problem = require "lib.problem"
local tenants = require "shop.tenants"

local USAGE = [[
usage: perigee audit export --tenant SLUG [--from TIME] [--to TIME] [--progress] [--config FILE]
                            [--SETTING=VALUE…] FILE.csv

Writes who changed a price, the rules or the settings, when, from what to what, oldest first. The file appears when it
is whole; - is standard output.

  --tenant SLUG   the shop, by its folder under tenants/
  --from TIME     from then on: 2026-01-31 or 2026-01-31T12:00:00Z
  --to TIME       before then
  --progress      show how far it is, also where standard error is no terminal
  --config FILE   the server's settings; perigee help config lists what --SETTING=VALUE may be
]]

local COLUMNS = { "id", "at", "actor", "action", "subject", "before", "after", "requestId" }
local PAGE = 1000

local function say(...)
  io.stderr:write(string.format(...), "\n")
end

-- A day is its beginning, in UTC.
local function time_of(text)
  return clock.parse(text:match "^%d%d%d%d%-%d%d%-%d%d$" and text .. "T00:00:00Z" or text)
end

local VALUED = { tenant = true, from = true, to = true }

-- One word, and what follows it when it needs a value of its own; nil and what is wrong with it.
local function read_word(options, words, i)
  local word = words[i]
  local name, value = word:match "^%-%-(%l+)=?(.*)$"
  if word == "--help" or word == "-h" then
    options.help = true
  elseif word == "--progress" then
    options.progress = true
  elseif VALUED[name] then
    if not word:find("=", 1, true) then i, value = i + 1, words[i + 1] end
    if not value or value == "" then return nil, "--" .. name .. " takes a value" end
    options[name] = value
  elseif word:sub(1, 1) == "-" and word ~= "-" then
    return nil, "there is no option " .. word
  else
    options[#options + 1] = word
  end
  return i + 1
end

-- The options of the command line, or nil and what is wrong with them.
local function read_arguments(words)
  local options, i = {}, 1
  while words[i] do
    local after, wrong = read_word(options, words, i)
    if not after then return nil, wrong end
    i = after
  end
  if options.help then return options end
  if options[1] ~= "export" then return nil, "the one thing that can be done is: export" end
  if not options.tenant then return nil, "--tenant SLUG is missing" end
  if not options[2] then return nil, "the file is missing" end
  if options[3] then return nil, "one file at a time: " .. options[3] end
  for _, name in ipairs { "from", "to" } do
    local text = options[name]
    options[name] = text and time_of(text)
    if text and not options[name] then return nil, ("--%s %s is not a time"):format(name, text) end
  end
  options.file = options[2]
  return options
end

-- RFC 4180; what a spreadsheet would take for a formula is kept from it by an apostrophe.
local function cell(value)
  if value == nil then return "" end
  local text = type(value) == "table" and json.encode(value) or tostring(value)
  if text:find "^[=+@\t\r-]" then text = "'" .. text end
  if text:find '[",\r\n]' then text = '"' .. text:gsub('"', '""') .. '"' end
  return text
end

local function line_of(record)
  local cells = {}
  for i, name in ipairs(COLUMNS) do cells[i] = cell(record[name]) end
  return table.concat(cells, ",") .. "\r\n"
end

-- On a terminal, or where it is asked for, a line that counts up and is wiped at the end; elsewhere nothing.
local function new_progress(wanted)
  if not wanted and os.execute "test -t 2" ~= 0 then return function() end, function() end end
  local function show(count, at) io.stderr:write(("\r%d records, up to %s"):format(count, at)) end
  local function wipe() io.stderr:write "\r\27[K" end
  return show, wipe
end

local function write(out, text)
  local done, wrong = out:write(text)
  if not done then error(wrong, 0) end
end

-- Holds no more than a page in memory. Returns how many records there were.
local function copy(tenant, options, out, show)
  local count, position = 0, nil
  write(out, table.concat(COLUMNS, ",") .. "\r\n")
  repeat
    local items
    items, position = audit.list(tenant.id,
      { from = options.from, to = options.to, limit = PAGE, after = position })
    for _, record in ipairs(items) do write(out, line_of(record)) end
    count = count + #items
    if #items > 0 then show(count, items[#items].at) end
  until not position
  return count
end

local function export(options)
  local tenant = tenants.find("slug", options.tenant)
  if not tenant then return nil, "there is no tenant " .. options.tenant end
  local to_screen = options.file == "-"
  local beside = options.file .. ".part"
  local out, wrong = io.stdout, nil
  if not to_screen then out, wrong = io.open(beside, "wb") end
  if not out then return nil, wrong end
  local show, wipe = new_progress(options.progress)
  local ok, count = pcall(copy, tenant, options, out, show)
  wipe()
  if to_screen then
    ok = out:flush() and ok
  else
    local closed, why = out:close()
    if ok and closed then closed, why = os.rename(beside, options.file) end
    if ok and not closed then ok, count = false, why end
    if not ok then os.remove(beside) end
  end
  if not ok then return nil, problem.reason(count) end
  return count
end

local options, wrong = read_arguments(arg)
if not options then
  say("perigee audit: %s\n%s", wrong, USAGE)
  return 2
end
if options.help then
  io.write(USAGE)
  return 0
end
local count, failure = export(options)
if not count then
  say("perigee audit: %s", failure)
  return 1
end
say("%s: %d records", options.tenant, count)
return 0
