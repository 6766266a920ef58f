-- redis.lua: one GET per request by nginx-lua: the stored text behind its version, over a connection that is kept.
--
-- RESP by hand on a cosocket: Debian has no client library, and less than this none could do.
local key = ngx.var.arg_key
local socket = ngx.socket.tcp()
local ok, why = socket:connect("127.0.0.1", tonumber(ngx.var.redis_port), { pool_size = 64 })
if not ok then
  ngx.log(ngx.ERR, why)
  return ngx.exit(502)
end
socket:send { "*2\r\n$3\r\nGET\r\n$", tostring(#key), "\r\n", key, "\r\n" }
local length = tonumber(string.match(socket:receive "*l" or "", "^%$(%d+)$"))
if not length then return ngx.exit(404) end
local text = socket:receive(length)
socket:receive(2)
socket:setkeepalive(60000)
local version, body = string.match(text, "^(%d+) (.*)$")
ngx.header.content_type = "application/json"
ngx.header.etag = '"' .. version .. '"'
ngx.print(body)
