-- bucket.lua: the arithmetic of a token bucket: what its options mean, and what a caller is told of it.
local bucket = {}
bucket.__index = bucket

local function whole(value)
  return type(value) == "number" and value >= 1 and value % 1 == 0
end

-- options: limit requests in window_s seconds, of which burst (limit, unless given) may come at once.
function bucket.of(options)
  local limit, window_s = options.limit, options.window_s
  local burst = options.burst or limit
  if not whole(limit) or not whole(burst) or type(window_s) ~= "number" or window_s <= 0 then
    return nil, "a rate needs a limit, a burst and a window of seconds above 0", "invalid"
  end
  -- Rounded up: never more requests than were allowed.
  local interval_us = math.ceil(window_s * 1000000 / limit)
  return setmetatable({ limit = limit, burst = burst, interval_us = interval_us }, bucket)
end

-- used_us is how long the bucket takes from now to be full again. It may have been looked at a little later than the
-- request was counted.
function bucket:verdict(allowed, used_us)
  local room_us = self.interval_us * self.burst
  local most = allowed and self.burst - 1 or self.burst
  local missing_us = allowed and 0 or math.max(0, used_us + self.interval_us - room_us)
  return {
    allowed = allowed,
    limit = self.limit,
    remaining = math.max(0, math.min(most, math.floor((room_us - used_us) / self.interval_us))),
    reset_s = math.ceil(used_us / 1000000),
    retry_s = allowed and 0 or math.max(1, math.ceil(missing_us / 1000000)),
  }
end

return bucket
