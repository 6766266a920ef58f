-- etag.lua: entity tags from versions, and the two conditions that clients send with them.
local answer = require "lib.answer"
local problem = require "lib.problem"

local etag = {}

function etag.of(version)
  return ('"%d"'):format(version)
end

-- True when a condition's list names the tag. A weak tag never meets If-Match (RFC 9110, 13.1.1).
local function names(list, tag, weak)
  if list:match "^%s*%*%s*$" then return true end
  for mark, found in list:gmatch '([Ww]?/?)("[^"]*")' do
    if found == tag and (weak or mark == "") then return true end
  end
  return false
end

-- True for "*" or a list of quoted tags, weak or not.
local function is_condition(text)
  if text:match "^%s*%*%s*$" then return true end
  for part in (text .. ","):gmatch "([^,]*)," do
    if not part:match '^%s*"[^"]*"%s*$' and not part:match '^%s*W/"[^"]*"%s*$' then return false end
  end
  return true
end

-- The request's If-Match or nil. One without quotes names no version at all: that is not a resource that has changed.
local function wanted_match(req)
  local wanted = req.headers["if-match"]
  if not wanted or is_condition(wanted) then return wanted end
  problem.raise { status = 400, code = "invalid_condition",
    detail = 'If-Match must be * or a list of quoted tags, such as "2"' }
end

-- Raises 412 unless the If-Match, when there is one, names this version. Returns whether there is one.
local function require_match(wanted, version)
  if not wanted then return false end
  if names(wanted, etag.of(version), false) then return true end
  problem.raise {
    status = 412, code = "precondition_failed",
    detail = "the resource has changed since it was read; its version is now " .. version,
    headers = { ETag = etag.of(version) },
  }
end

-- The condition of a request as a function of the stored resource, for services that know nothing of requests.
function etag.condition(req)
  local wanted = wanted_match(req)
  return function(resource) return require_match(wanted, resource.version) end
end

-- 304 when the request's If-None-Match names this version.
local function unchanged(req, headers)
  local known = req:header "if-none-match"
  return known and names(known, headers.ETag, true) and answer.empty(304, headers)
end

-- 200 with the resource, or 304.
function etag.answer(req, resource, version)
  local headers = { ETag = etag.of(version) }
  return unchanged(req, headers) or answer.json(200, resource, headers)
end

-- The same with the resource as JSON and the version as digits.
function etag.answer_text(req, text, version)
  local headers = { ETag = '"' .. version .. '"', ["Content-Type"] = "application/json" }
  return unchanged(req, headers) or answer.text(200, text, headers)
end

return etag
