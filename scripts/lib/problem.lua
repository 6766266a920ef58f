-- problem.lua: errors as RFC 9457 problem documents, returned or raised.
local answer = require "lib.answer"

local problem = {}

local TITLES = {
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
  [409] = "Conflict", [412] = "Precondition Failed", [413] = "Content Too Large",
  [415] = "Unsupported Media Type", [422] = "Unprocessable Content", [500] = "Internal Server Error",
  [503] = "Service Unavailable",
}

-- What a store's error name means to the caller of the API. A name that is not here is our own fault: 500.
local STATUS_OF = {
  invalid = 400, not_found = 404, conflict = 409, precondition_failed = 412, too_large = 413,
  unprocessable = 422, range = 422, precision = 422,
  busy = 503, timeout = 503, unavailable = 503, closed = 503,
}

-- An answer from { status, code, detail, errors = { { pointer, code, detail } }, headers }. The server adds requestId.
function problem.answer(fields)
  local headers = { ["Content-Type"] = "application/problem+json" }
  for name, text in pairs(fields.headers or {}) do headers[name] = text end
  return answer.json(fields.status, {
    type = "about:blank",
    title = TITLES[fields.status] or "Error",
    status = fields.status,
    code = fields.code,
    detail = fields.detail,
    errors = fields.errors and json.array(fields.errors),
  }, headers)
end

-- The same, raised: ends the handler from any depth. Where nobody answers with it, in a command, `detail` is what the
-- log or the terminal shows.
function problem.raise(fields)
  local made = problem.answer(fields)
  made.detail = ("%s: %s"):format(tostring(fields.code), tostring(fields.detail))
  error(made, 0)
end

function problem.not_found(what)
  problem.raise { status = 404, code = "not_found", detail = "there is no such " .. what }
end

-- Others change it all the time just now: the same request may work in a moment.
function problem.too_often(what)
  problem.raise { status = 409, code = "conflict", detail = "the " .. what .. " changes too often; try again",
    headers = { ["Retry-After"] = "1" } }
end

-- What the API says when a store did not do its part. The store's own sentence names servers and users: it is for the
-- log, and for who catches the error.
local AWAY = "something that this needs is away just now; try again"
local PASSING = {
  busy = { code = "busy", detail = "too much is under way just now; try again" },
  timeout = { code = "timeout", detail = "there was no answer in time; try again" },
  unavailable = { code = "unavailable", detail = AWAY },
  closed = { code = "unavailable", detail = AWAY },
}

-- What PostgreSQL refuses because of a value: of another form, beyond its type, against a constraint, or what a
-- function of the database raised. For the rest the statement is to blame, and with it the handler's author: also for a
-- division by zero, which a statement that divides has to expect.
local OF_VALUES = { ["22"] = true, ["23"] = true, ["44"] = true }
local function of_statement(info)
  local state = info.sqlstate
  if not state then return info.refused == true end
  return state == "22012" or not (OF_VALUES[state:sub(1, 2)] or state == "P0001")
end

-- Raises the failure of a store or of the rules (nil, text, name, and what PostgreSQL said); a name unknown to callers
-- is a plain error, so that the log gets a traceback and the client no detail, and so is a statement's own fault.
function problem.of_failure(text, name, info)
  if type(info) ~= "table" then info = {} end
  local status, passing = STATUS_OF[name], PASSING[name]
  local words = (name or "error") .. ": " .. text
  if info.sqlstate then words = ("%s (SQLSTATE %s)"):format(words, info.sqlstate) end
  if not status or name == "invalid" and of_statement(info) then error(words, 2) end
  local fields = { status = status, code = name, detail = text }
  if passing then
    log.info("store_failed", { error = text, code = name })
    fields.code, fields.detail, fields.headers = passing.code, passing.detail, { ["Retry-After"] = "1" }
  end
  local made = problem.answer(fields)
  made.detail, made.reason = words, text
  error(made, 0)
end

-- What was raised, as a sentence for the log or for who runs a command.
function problem.reason(raised)
  if type(raised) ~= "table" then return tostring(raised) end
  return tostring(raised.reason or raised.json and raised.json.detail or raised)
end

-- Passes on what a store returned, also a plain nil (absent), and raises a failure.
function problem.check(value, text, name, info)
  if value == nil and name then problem.of_failure(text, name, info) end
  return value, text
end

return problem
