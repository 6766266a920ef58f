-- pg_ask.lua: asks PostgreSQL one question with the driver: perigee script tests/lib/pg_ask.lua SQL; prints each value
-- of the first row on a line.
local pg = require "lib.pg"

local row, text, name = pg.one(arg[1])
if not row then
  io.stderr:write(("%s: %s\n"):format(tostring(name), tostring(text)))
  return 1
end
for i = 2, #arg do print(tostring(row[arg[i]])) end
io.stdout:flush()
return 0
