-- init.lua: the four-role door to storage: picks the engine of each role; everything else asks `require "stores"`.
local contract = require "stores.contract"

local stores = {}

-- The file of a role under the data folder has the role's name.
local function embedded(role)
  return contract.check(role, require("stores." .. role .. ".sqlite").open(role))
end

-- The server has opened the driver when, and only when, the setting redis_url names a Redis.
local function cache()
  if not package.loaded["redis.native"] then return embedded "cache" end
  return contract.check("cache", require("stores.cache.redis").open())
end

-- As the cache, with the setting postgres_url.
local function ledger()
  if not package.loaded["postgres.native"] then return embedded "ledger" end
  return contract.check("ledger", require("stores.ledger.postgres").open())
end

stores.documents = embedded "documents"
stores.cache = cache()
stores.search = embedded "search"
stores.ledger = ledger()

return stores
