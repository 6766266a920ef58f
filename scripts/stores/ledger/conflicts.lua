-- conflicts.lua: what it means that a table's uniqueness would be broken.
local SENTENCES = {
  payment_transactions = "the payment, or its intent, is known already",
  payment_refunds = "the refund is known already",
  checkouts = "the order belongs to another checkout",
  outbox = "the outbox has an entry with this id",
  audit_log = "the audit trail has a record with this id",
  order_events = "there is an event with this id",
}

local conflicts = {}

-- The table whose name the constraint's begins with.
function conflicts.table_of(constraint)
  for name in pairs(SENTENCES) do
    if constraint and constraint:sub(1, #name) == name then return name end
  end
end

function conflicts.sentence(constraint)
  return SENTENCES[conflicts.table_of(constraint)] or "the value is taken"
end

-- The number of the statement that wrote the table, if there is one only.
function conflicts.statement(unit, constraint)
  local name, found = conflicts.table_of(constraint), nil
  for i, statement in ipairs(unit) do
    if statement.into == name then
      if found then return nil end
      found = i
    end
  end
  return found
end

return conflicts
