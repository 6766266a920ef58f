-- migrations.lua: the files of scripts/migrations, and carrying each out once, in order, whoever else tries it too.
--
-- A file is carried out in a transaction that also notes its name and checksum, under a lock of the server's that lives
-- as long as the transaction: another node that migrates at the same time waits, and then finds it done.
local pg = require "lib.pg"
local split = require "stores.lib.statements"

local migrations = {}

-- The advisory lock's number, the same for every version.
local LOCK = 70657269676565
local PAUSE_MS, WAIT_MS = 200, 600000
local STATEMENT_MS = 3600000

local TABLE = [[CREATE TABLE IF NOT EXISTS perigee_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL,
  applied_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW())]]
local APPLIED = "SELECT name, checksum, applied_at FROM perigee_migrations ORDER BY name"

local function read(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text = file:read "*a"
  file:close()
  return text
end

local function names_in(folder)
  local pipe = assert(io.popen("ls -1 -- '" .. folder:gsub("'", "'\\''") .. "'"))
  local names = {}
  for line in pipe:lines() do
    local name = line:match "^(%d%d%d%d_[%l%d_]+)%.sql$"
    if name then names[#names + 1] = name end
  end
  pipe:close()
  table.sort(names)
  return names
end

-- The files in order: { name, text, checksum, statements }; or nil and what is wrong with them.
function migrations.files()
  local folder = process.config "scripts" .. "/migrations"
  local list, numbers = {}, {}
  for i, name in ipairs(names_in(folder)) do
    local text, why = read(folder .. "/" .. name .. ".sql")
    if not text then return nil, why end
    local statements
    statements, why = split(text)
    if not statements then return nil, name .. ": " .. why end
    local number = name:sub(1, 4)
    if numbers[number] then return nil, ("%s and %s have the same number"):format(numbers[number], name) end
    numbers[number] = name
    list[i] = { name = name, text = text, checksum = ident.sha256(text), statements = statements }
  end
  if #list == 0 then return nil, "there are no migrations in " .. folder end
  return list
end

-- What the database has: name → { checksum, applied_at }; empty before the first. Or nil, text, name.
function migrations.applied()
  local there, text, name = pg.one "SELECT to_regclass('perigee_migrations') IS NOT NULL AS there"
  if not there then return nil, text, name end
  if not there.there then return {} end
  local rows
  rows, text, name = pg.query(APPLIED)
  if not rows then return nil, text, name end
  local applied = {}
  for _, row in ipairs(rows) do applied[row.name] = row end
  return applied
end

-- "pending", "applied" or "changed": carried out, but not as it is now.
function migrations.state(file, applied)
  local row = applied[file.name]
  if not row then return "pending" end
  return row.checksum == file.checksum and "applied" or "changed"
end

local function carry_out(tx, file)
  for i, statement in ipairs(file.statements) do
    local done, text, name = tx.exec(statement)
    if not done then return nil, ("%s: statement %d: %s"):format(file.name, i, text), name end
  end
  return tx.exec("INSERT INTO perigee_migrations (name, checksum) VALUES ($1, $2)", file.name, file.checksum)
end

-- In a transaction: "done", "known" (another node was faster), "busy" (it is at it), or nil, text, name.
local function attempt(tx, file)
  local lock, text, name = tx.one("SELECT pg_try_advisory_xact_lock($1) AS mine", LOCK)
  if not lock then return nil, text, name end
  if not lock.mine then return "busy" end
  local done
  done, text, name = tx.exec(TABLE)
  if not done then return nil, text, name end
  local row
  row, text, name = tx.one("SELECT checksum FROM perigee_migrations WHERE name = $1", file.name)
  if name then return nil, text, name end
  if row and row.checksum ~= file.checksum then return nil, migrations.changed(file), "conflict" end
  if row then return "known" end
  done, text, name = carry_out(tx, file)
  if not done then return nil, text, name end
  return "done"
end

function migrations.changed(file)
  return ("%s was changed after it had been carried out; put it back, and write a new file instead"):format(file.name)
end

-- Carries one file out, unless it has been: "done" or "known"; or nil, text, name. Calls waits() once when another node
-- is at it.
function migrations.apply(file, waits)
  local until_ms = clock.now_ms() + WAIT_MS
  local door = pg.with { timeout_ms = STATEMENT_MS }
  while true do
    local outcome, text, name = door.transaction({ name = "migrate" }, function(tx) return attempt(tx, file) end)
    if outcome ~= "busy" then return outcome, text, name end
    if clock.now_ms() >= until_ms then return nil, "another node has been migrating for ten minutes", "timeout" end
    waits()
    sleep(PAUSE_MS)
  end
end

-- Whether row-level security does not bind the role that serves; nil, text, name when that is not known.
function migrations.unfenced()
  local row, text, name = pg.one "SELECT rolsuper OR rolbypassrls AS free FROM pg_roles WHERE rolname = current_user"
  if not row then return nil, text, name end
  return row.free
end

return migrations
