-- main.lua: the handlers of the PostgreSQL benchmark: twenty rows in one request, in each of the ways there are.
local pg = require "lib.pg"

local READS = 20
local SELECT = "select id, name, price from bench_rows where id = $1"

local tenant = {
  id = "00000000-0000-7000-8000-000000000000", slug = "bench0", name = "bench0", subdomain = "bench0",
  settings = { currency = "USD", taxRate = "0.09" },
}
local rows = pg.tenant(tenant.id)

local function sum(found)
  local total = 0
  for i = 1, READS do total = total + found[i].id end
  return { total = total }
end

local function raise(_, text)
  error(text, 0)
end

-- One after another.
local function in_turn()
  local found = {}
  for i = 1, READS do found[i] = rows.one(SELECT, i) or raise(nil, "no row") end
  return sum(found)
end

-- Side by side, each with its own sync and fate.
local function side_by_side()
  local reads = {}
  for i = 1, READS do reads[i] = function() return rows.one(SELECT, i) end end
  local found = {}
  for i, outcome in ipairs(wait_all(reads)) do found[i] = outcome[1] or raise(nil, "no row") end
  return sum(found)
end

-- In one segment: one sync, one fate.
local function together()
  local reads = {}
  for i = 1, READS do reads[i] = { SELECT, i } end
  local answers = rows.batch(reads) or raise(nil, "no answer")
  local found = {}
  for i, answer in ipairs(answers) do found[i] = answer[1] end
  return sum(found)
end

return {
  routes = {
    ["GET /in-turn"] = in_turn,
    ["GET /wait-all"] = side_by_side,
    ["GET /batch"] = together,
    ["GET /none"] = function() return { total = READS * (READS + 1) / 2 } end,
  },
  tenants = { resolve = function() return tenant end, seed = function() end },
  tenant_shop = {},
  background = {},
}
