-- migrate.lua: `perigee migrate`: brings the PostgreSQL schema up to date, or shows where it is.
local USAGE = "usage: perigee migrate [up|status] [--dry-run] [--config FILE] [--SETTING=VALUE…]"

local function say(...)
  io.stderr:write("perigee migrate: ", string.format(...), "\n")
end

-- The options of the command line, or nil and what is wrong with them.
local function read_arguments(words)
  local options = {}
  for _, word in ipairs(words) do
    if word == "--dry-run" then options.dry = true
    elseif word:sub(1, 1) == "-" then return nil, "there is no option " .. word
    elseif options.command then return nil, "one command at a time: " .. word
    elseif word ~= "up" and word ~= "status" then return nil, "there is no command " .. word
    else options.command = word end
  end
  options.command = options.command or "up"
  if options.dry and options.command == "status" then return nil, "--dry-run is for up; status changes nothing" end
  return options
end

-- What the database has and what it lacks, as the files say: the files, those that are pending, and those that changed.
local function compare(migrations)
  local files, why = migrations.files()
  if not files then return nil, why end
  local applied
  applied, why = migrations.applied()
  if not applied then return nil, why end
  local pending, changed, known, newer = {}, {}, {}, false
  for _, file in ipairs(files) do
    local state = migrations.state(file, applied)
    known[file.name] = true
    if state == "pending" then pending[#pending + 1] = file end
    if state == "changed" then changed[#changed + 1] = file end
  end
  for name in pairs(applied) do
    if not known[name] then
      newer = true
      say("%s is not here: the database belongs to a newer version", name)
    end
  end
  return { files = files, applied = applied, pending = pending, changed = changed, newer = newer }
end

local function warn_unfenced(migrations)
  if migrations.unfenced() then
    say "row-level security does not bind this role: it is a superuser, or has BYPASSRLS. Serve with one that is not."
  end
end

local function status(migrations, found)
  for _, file in ipairs(found.files) do
    local row = found.applied[file.name]
    local words = { applied = "applied ", changed = "CHANGED after it was applied ", pending = "pending" }
    print(("%-28s  %s%s"):format(file.name, words[migrations.state(file, found.applied)], row and row.applied_at or ""))
  end
  warn_unfenced(migrations)
  return #found.changed > 0 and 1 or 0
end

local function dry_run(found)
  for _, file in ipairs(found.pending) do
    local count = #file.statements
    print(("-- would carry out %s: %d statement%s\n%s"):format(file.name, count, count == 1 and "" or "s", file.text))
  end
  if #found.pending == 0 and not found.newer then print "the schema is up to date" end
  return 0
end

local function up(migrations, found)
  local waited = false
  local function waits()
    if not waited then say "another node is migrating; waiting for it" end
    waited = true
  end
  for _, file in ipairs(found.pending) do
    local started = clock.now_ms()
    local outcome, why = migrations.apply(file, waits)
    if not outcome then
      say("%s", why)
      return 1
    end
    print(outcome == "known" and file.name .. ": another node was faster"
      or ("%s: carried out in %.1f s"):format(file.name, (clock.now_ms() - started) / 1000))
  end
  warn_unfenced(migrations)
  if not found.newer then
    print(("the schema is up to date: %d migration%s"):format(#found.files, #found.files == 1 and "" or "s"))
  end
  return 0
end

local function run(options)
  if not package.loaded["postgres.native"] then
    print "the ledger is on the embedded engine (postgres_url is empty): there is nothing to migrate"
    return 0
  end
  local migrations = require "stores.lib.migrations"
  local found, why = compare(migrations)
  if not found then
    say("%s", why)
    return 1
  end
  if options.command == "status" then return status(migrations, found) end
  if #found.changed > 0 then
    for _, file in ipairs(found.changed) do say("%s", migrations.changed(file)) end
    return 1
  end
  if options.dry then return dry_run(found) end
  return up(migrations, found)
end

local options, wrong = read_arguments(arg)
if not options then
  say("%s\n%s", wrong, USAGE)
  return 2
end
return run(options)
