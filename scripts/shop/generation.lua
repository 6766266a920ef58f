-- generation.lua: the number under which a shop's product lists and searches are cached; a write raises it.
local shortcut = require "lib.shortcut"
local stores = require "stores"

local generation = {}

local NAME = "products"

-- Tenants whose number could not be raised because the cache was away: what it still has may be old.
local owed = {}

-- After a write; what was cached before is not found any more.
function generation.raise(tenant_id)
  owed[tenant_id] = stores.cache.bump(tenant_id, NAME) == nil or nil
end

-- The number, or nil when nothing cached may be served now.
function generation.of(tenant_id)
  if owed[tenant_id] then
    generation.raise(tenant_id)
    if owed[tenant_id] then return nil end
  end
  return (shortcut.generation(tenant_id, NAME))
end

return generation
