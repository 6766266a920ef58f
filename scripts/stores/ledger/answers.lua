-- answers.lua: a stored answer between its three columns and the table that callers have.
local answers = {}

function answers.of(row)
  if row.status == nil then return nil end
  return { status = row.status, headers = json.decode(row.headers), body = row.body or "" }
end

return answers
