-- guard.lua: what a handler asks of the key that came with a request.
local problem = require "lib.problem"

local guard = {}

-- 401 tells the client to bring a key, 403 that the one it brought opens another shop.
local function refuse(req)
  if req.role == "foreign" then
    problem.raise { status = 403, code = "denied", detail = "the key belongs to another shop" }
  end
  problem.raise {
    status = 401, code = "unauthorized", detail = "this needs the header Authorization: Bearer KEY",
    headers = { ["WWW-Authenticate"] = 'Bearer realm="perigee"' },
  }
end

-- Wraps a handler that only the shop's owner may call.
function guard.owner(handler)
  return function(req)
    if req.role ~= "owner" then refuse(req) end
    return handler(req)
  end
end

return guard
