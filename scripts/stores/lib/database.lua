-- database.lua: opens an embedded database file on first use and brings its schema up to date, beside others.
local sqlite = require "sqlite"

local database = {}

-- One step up, in one transaction that starts by asking whether the step is still to be made: another process may have
-- been faster, and then nothing happens.
local function climb(db, version, statements)
  local unit = { { "SELECT 1 FROM pragma_user_version WHERE user_version = ?", { version }, expect = 1 } }
  for _, text in ipairs(statements) do unit[#unit + 1] = { text } end
  unit[#unit + 1] = { ("PRAGMA user_version = %d"):format(version + 1) }
  local done, text, name = db:transaction(unit)
  if done or name == "precondition_failed" then return true end
  return nil, text, name
end

local function migrate(db, steps)
  while true do
    local rows, text, name = db:query "PRAGMA user_version"
    if not rows then return nil, text, name end
    local version = rows[1].user_version
    if version == #steps then return true end
    if version > #steps then return nil, "the database file belongs to a newer version", "unavailable" end
    local done
    done, text, name = climb(db, version, steps[version + 1])
    if not done then return nil, text, name end
  end
end

-- Returns a function that answers the database, ready to use, or nil, text, name. steps[n] lists the statements that
-- lead from version n - 1 to n; a step that was ever released must not change.
function database.lazy(file, options, steps)
  local db, ready
  return function()
    if ready then return db end
    if not db then
      local opened, text, name = sqlite.open(file, options)
      if not opened then return nil, text, name end
      db = opened
    end
    local done, text, name = migrate(db, steps)
    if not done then return nil, text, name end
    ready = true
    return db
  end
end

return database
