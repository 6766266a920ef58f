-- answer.lua: builds the plain tables that the server turns into answers.
--
-- A handler may simply return a table, which becomes 200 and JSON. These are for everything else; `headers` is a
-- flat table of names and texts.
local answer = {}

-- The field that tells an answer from plain data.
answer.TAG = "__answer"

function answer.json(status, value, headers)
  return { [answer.TAG] = true, status = status, headers = headers, json = value }
end

function answer.text(status, text, headers)
  return { [answer.TAG] = true, status = status, headers = headers, body = text }
end

-- An answer without a body: 204, 304.
function answer.empty(status, headers)
  return { [answer.TAG] = true, status = status, headers = headers }
end

return answer
