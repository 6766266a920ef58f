-- audit.lua: /api/audit: who changed a price, the rules or the settings, oldest first.
local audit = require "shop.audit"
local cursor = require "lib.cursor"
local page = require "lib.page"
local query = require "lib.query"

local api = {}

function api.list(req)
  local wanted = query.read(req, {
    from = query.time, to = query.time, limit = query.integer(1, 100), cursor = query.text(1000),
  })
  local after = cursor.decode(req, wanted.cursor)
  local items, position = audit.list(req.tenant.id, {
    from = wanted.from, to = wanted.to, limit = wanted.limit or 20, after = after and after[1],
  })
  return page.answer(req, { items = items }, cursor.encode(req, position and { position }))
end

return api
