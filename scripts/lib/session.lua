-- session.lua: the anonymous session of a shopper: the server knows it, or it begins with this answer.
local answer = require "lib.answer"
local problem = require "lib.problem"

local session = {}

local MONTH_S = 30 * 24 * 3600

local function cookie(req, id)
  local secure = req.client.scheme == "https" and "; Secure" or ""
  return ("perigee_session=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s"):format(id, MONTH_S, secure)
end

-- The id of the request's session, and the headers of its answer: a new session is set as a cookie.
function session.open(req)
  if req.session then return req.session, {} end
  if req.headers["x-session-id"] then
    problem.raise { status = 400, code = "invalid_session",
      detail = "X-Session-ID must have 16 to 128 characters of A-Z a-z 0-9 . _ ~ -" }
  end
  local id = ident.token(24)
  return id, { ["Set-Cookie"] = cookie(req, id) }
end

-- Wraps a handler of (req, session id) so that its answer carries the cookie of a new session.
function session.wrap(handler)
  return function(req)
    local id, headers = session.open(req)
    local made = handler(req, id)
    if not made[answer.TAG] then made = answer.json(200, made) end
    made.headers = made.headers or {}
    for name, text in pairs(headers) do made.headers[name] = text end
    return made
  end
end

return session
