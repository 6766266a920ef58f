-- health.lua: /healthz and /readyz: whether the server lives, and whether each role answers.
local answer = require "lib.answer"
local stores = require "stores"

local api = {}

function api.alive()
  return { status = "alive" }
end

-- One question to each role, side by side; a tenant that cannot exist keeps them cheap.
local NOBODY = "00000000-0000-0000-0000-000000000000"
local ROLES = { "documents", "cache", "search" }

local function ask_documents() return stores.documents.get(NOBODY, "products", NOBODY) end
local function ask_cache() return stores.cache.get(NOBODY, "ready") end
local function ask_search() return stores.search.suggest(NOBODY, "ready", 1) end

-- A role is up when its question came back without an error's name.
local function state(ask)
  return function()
    local _, text, name = ask()
    if name then error(text, 0) end
    return true
  end
end

function api.ready()
  local outcomes = wait_all { state(ask_documents), state(ask_cache), state(ask_search) }
  local roles, status = {}, 200
  for i, role in ipairs(ROLES) do
    roles[role] = outcomes[i].ok and "up" or "down"
    if not outcomes[i].ok then status = 503 end
  end
  return answer.json(status, { status = status == 200 and "ready" or "not ready", roles = roles })
end

return api
