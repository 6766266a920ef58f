-- sweeper.lua: sweeps the ledger, by one worker of all that share it, once a minute.
local stores = require "stores"

local sweeper = {}

local EACH_S = 55

-- In the background. The lock is not given back: it says that this minute's sweep has been made. Without the cache role
-- every worker sweeps; they do not get in each other's way, it only costs more.
function sweeper.run()
  local held, _, failure = stores.cache.lock("*", "ledger.sweep", EACH_S)
  if not held and not failure then return end
  local count, text = stores.ledger.sweep()
  if not count then return log.warn("ledger_not_swept", { error = text }) end
  log.debug("ledger_swept", { count = count })
end

return sweeper
