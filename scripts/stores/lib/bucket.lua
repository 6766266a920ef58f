-- bucket.lua: a token bucket: what its options mean, the taking from it, and what a caller is told of it.
local native = require "bucket"

local bucket = {}

local WHOLE_MOST = 2 ^ 53

local function whole(value)
  return type(value) == "number" and value >= 1 and value % 1 == 0
end

-- ahead_us is how long the bucket takes from now to be full again; below 0 when the request was refused.
local function verdict(limit, burst, interval_us, ahead_us)
  local allowed, used_us, room_us = ahead_us > 0, math.abs(ahead_us), interval_us * burst
  local most = allowed and burst - 1 or burst
  local missing_us = allowed and 0 or math.max(0, used_us + interval_us - room_us)
  return {
    allowed = allowed,
    limit = limit,
    remaining = math.max(0, math.min(most, math.floor((room_us - used_us) / interval_us))),
    reset_s = math.ceil(used_us / 1000000),
    retry_s = allowed and 0 or math.max(1, math.ceil(missing_us / 1000000)),
  }
end

-- The contract's `take`, on every engine. options: limit requests in window_s seconds, of which burst (limit, unless
-- given) may come at once.
function bucket.take(tenant, route, options)
  local limit, window_s = options.limit, options.window_s
  local burst = options.burst or limit
  if not whole(limit) or not whole(burst) or type(window_s) ~= "number" or window_s <= 0 then
    return nil, "a rate needs a limit, a burst and a window of seconds above 0", "invalid"
  end
  -- Rounded up: never more requests than were allowed.
  local interval_us = math.ceil(window_s * 1000000 / limit)
  if interval_us * burst > WHOLE_MOST then return nil, "the bucket is too large", "invalid" end
  local ahead_us, text, name = native.take(tenant, route, interval_us, interval_us * burst)
  if not ahead_us then return nil, text, name end
  return verdict(limit, burst, interval_us, ahead_us)
end

return bucket
