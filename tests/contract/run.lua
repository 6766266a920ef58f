-- run.lua: runs the contract tests of every role against the engines that `stores` has picked, and prints TAP.
--
-- perigee script tests/contract/run.lua [role or module …]. Every test works in tenants of its own, so that several
-- processes can run it on one data folder at the same time.
local stores = require "stores"

local here = debug.getinfo(1, "S").source:match "^@(.*)run%.lua$" or "tests/contract/"
local ROLES = { "documents", "cache", "search", "ledger" }

local function random_hex(n)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(n)
  file:close()
  return (bytes:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

local t = {}

function t.uuid()
  return (random_hex(16):gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x+)$", "%1-%2-%3-%4-%5"))
end

local function show(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" or decimal.is(value) then return tostring(value) end
  local ok, text = pcall(json.encode, value) -- a list with a hole is no JSON
  return ok and text or tostring(value)
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" or decimal.is(a) or decimal.is(b) then return a == b end
  for key, value in pairs(a) do if not same(value, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

function t.equal(got, want, what)
  if not same(got, want) then
    error(("%s: got %s, wanted %s"):format(what or "value", show(got), show(want)), 2)
  end
end

function t.ok(value, what)
  if not value then error((what or "condition") .. " does not hold", 2) end
end

-- The results of a call that must have succeeded; its failure names itself.
function t.works(value, text, name)
  if value == nil then error(("failed: %s (%s)"):format(tostring(text), tostring(name)), 2) end
  return value
end

-- The results of a call that must have failed with this name; returns the sentence.
function t.fails(wanted, value, text, name)
  if value ~= nil or name ~= wanted then
    error(("got %s, %s, %s, wanted the error %s"):format(show(value), tostring(text), tostring(name), wanted), 2)
  end
  t.ok(type(text) == "string" and #text > 0, "a sentence beside " .. wanted)
  return text
end

-- The given fields of a list's elements, in order: t.pluck(list, "id") → { "a", "b" }.
function t.pluck(list, field)
  local values = {}
  for i, entry in ipairs(list) do values[i] = entry[field] end
  return values
end

-- Asks again until the answer is not nil or false; leases run out on the engine's clock, not on ours.
function t.until_so(what, ask)
  for _ = 1, 3000 do
    local value = ask()
    if value then return value end
    sleep(10)
  end
  t.ok(false, what)
end

local function chosen_roles()
  local roles = {}
  for i = 1, arg and #arg or 0 do roles[i] = arg[i] end
  return #roles > 0 and roles or ROLES
end

local number, failed = 0, 0

-- What is tested beside the roles: `redis` only where the cache role is on Redis, `postgres` where there is one.
local MODULES = {
  redis = "lib.redis", postgres = "lib.pg", read_through = "lib.read_through", queue = "shop.queue",
}

local function subject_of(role)
  if role == "outbox" then return stores.ledger end
  if role == "carts" then return stores.cache end
  return MODULES[role] and require(MODULES[role]) or stores[role]
end

local function run(role, test)
  number = number + 1
  local ok, why = xpcall(function() test.run(t, subject_of(role)) end, debug.traceback)
  print(("%s %d - %s: %s"):format(ok and "ok" or "not ok", number, role, test.name))
  if ok then return end
  failed = failed + 1
  print("# " .. tostring(why):gsub("\n", "\n# "))
end

for _, role in ipairs(chosen_roles()) do
  for _, test in ipairs(dofile(here .. role .. ".lua")) do run(role, test) end
end
print(("1..%d"):format(number))
io.stdout:flush()
return failed == 0 and 0 or 1
