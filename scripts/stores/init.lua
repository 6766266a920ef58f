-- init.lua: the four-role door to storage: picks the engine of each role; everything else asks `require "stores"`.
local contract = require "stores.contract"

local stores = {}

-- The file of a role under the data folder has the role's name.
local function embedded(role)
  return contract.check(role, require("stores." .. role .. ".sqlite").open(role))
end

stores.documents = embedded "documents"
stores.cache = embedded "cache"
stores.search = embedded "search"

return stores
