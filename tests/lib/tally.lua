-- tally.lua: counts in Redis, reads and echoes until told to stop, and keeps accounts of every answer.
--
-- perigee script tests/lib/tally.lua PREFIX COUNTERS: counters at PREFIX:1 …, until PREFIX:stop exists. Prints books as
-- JSON.
local redis = require "lib.redis"

local prefix, counters = arg[1], tonumber(arg[2])
local stopping = false
-- What a command may say that was not answered; anything else is a fault.
local REPORTS = { unavailable = true, closed = true, timeout = true }

-- One that was reported may have counted or not, now or later; nothing else may. `falls`: what was confirmed is gone.
local function count(book)
  local value, text, name = redis.incr(book.key)
  if value == nil then return text, name, "reported" end
  if value <= book.last then book.falls[#book.falls + 1] = json.array { book.last, value } end
  if value < 1 or value > book.confirmed + book.reported + 1 then
    book.faults[#book.faults + 1] = ("%s after %d: %d confirmed, %d reported"):format(
      tostring(value), book.last, book.confirmed, book.reported)
  end
  book.last, book.confirmed = value, book.confirmed + 1
end

local function echo(book)
  book.echoes = book.echoes + 1
  local tag = book.key .. ":" .. book.echoes
  local value, text, name = redis.call("EVAL", "return ARGV[1]", 1, book.key, tag)
  if value == nil then return text, name, "silent" end
  if value ~= tag then book.faults[#book.faults + 1] = ("%s came back for %s"):format(tostring(value), tag) end
end

-- A replica may be behind, and knows nothing of the future.
local function read(book)
  local value, text, name = redis.replica.get(book.key)
  if value == nil and name then return text, name, "unread" end
  if value and tonumber(value) > book.confirmed + book.reported then
    book.faults[#book.faults + 1] = ("%s was read at %d"):format(value, book.last)
  end
end

local function attempt(book, run)
  local text, name, account = run(book)
  if not name then return end
  book[account] = book[account] + 1
  if not REPORTS[name] then book.faults[#book.faults + 1] = name .. ": " .. tostring(text) end
end

local function keep(book)
  return function()
    while not stopping do
      attempt(book, count)
      attempt(book, echo)
      attempt(book, read)
      sleep(20)
    end
  end
end

local function watch()
  while not stopping do
    stopping = redis.get(prefix .. ":stop") ~= nil
    sleep(20)
  end
end

local books, runs = {}, { watch }
for i = 1, counters do
  books[i] = { key = prefix .. ":" .. i, last = 0, confirmed = 0, reported = 0, silent = 0, unread = 0, echoes = 0,
    falls = json.array {}, faults = json.array {} }
  runs[i + 1] = keep(books[i])
end
for _, result in ipairs(wait_all(runs)) do
  if not result.ok then error(result.error, 0) end
end
print(json.encode(books))
return 0
