-- post.lua: wrk's script: posts the cart of the file in its first argument, to as many shops as the second says.
local body, shops, at

function init(arguments)
  local source = assert(io.open(arguments[1]))
  body = source:read "*a"
  source:close()
  shops = tonumber(arguments[2]) or 1
  at = 0
end

function request()
  at = (at + 1) % shops
  local headers = { ["Content-Type"] = "application/json", Host = "bench" .. at .. ".localhost" }
  return wrk.format("POST", wrk.path, headers, body)
end
