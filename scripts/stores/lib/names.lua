-- names.lua: the keys of a Redis server, as other services and redis-cli see them.
local names = {}

-- "ns:rest" of a tenant is ns:TENANT:rest, and "ns" is ns:TENANT.
function names.key(tenant, name)
  local colon = name:find(":", 1, true)
  if not colon then return name .. ":" .. tenant end
  return name:sub(1, colon) .. tenant .. name:sub(colon)
end

-- Locks of the whole platform (tenant "*") have no tenant in their key.
function names.lock(tenant, name)
  return tenant == "*" and "lock:" .. name or "lock:" .. tenant .. ":" .. name
end

return names
